//! The two tasks of a connection: one reads frames and does what they say, one writes what is queued. Each ends both.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf},
    sync::mpsc,
};

use super::{Outgoing, Shared, disconnected};
use crate::frame::{Frame, Violation};

pub(super) fn spawn(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    shared: Arc<Shared>,
) {
    let (reader, writer) = tokio::io::split(stream);
    tokio::spawn(read(reader, shared.clone()));
    tokio::spawn(write(writer, queue, shared));
}

async fn read<S: AsyncRead + AsyncWrite>(reader: ReadHalf<S>, shared: Arc<Shared>) {
    let mut reader = BufReader::new(reader);
    let mut closed = shared.closed.subscribe();
    loop {
        let frame = tokio::select! {
            frame = Frame::read(&mut reader, shared.limits.message) => frame,
            _ = closed.wait_for(Option::is_some) => return,
            () = shared.overrun.notified() => {
                return shared.close(disconnected("the other side does not read what it has asked for"));
            }
        };
        let reason = match frame {
            Ok(Some(Ok(frame))) => match shared.receive(frame) {
                Ok(()) => continue,
                Err(violation) => broken(&violation),
            },
            Ok(Some(Err(violation))) => broken(&violation),
            Ok(None) => "the other side is gone".to_owned(),
            Err(error) => error.to_string(),
        };
        return shared.close(disconnected(reason));
    }
}

fn broken(violation: &Violation) -> String {
    tracing::warn!(%violation, "a connection is closed because its peer broke the protocol");
    format!("the other side broke the protocol: {violation}")
}

async fn write<S: AsyncRead + AsyncWrite>(
    writer: WriteHalf<S>,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    shared: Arc<Shared>,
) {
    let mut writer = BufWriter::new(writer);
    let mut closed = shared.closed.subscribe();
    let result = tokio::select! {
        result = write_all(&mut writer, &mut queue, &shared) => result,
        _ = closed.wait_for(Option::is_some) => Ok(()),
    };
    shared.close(disconnected(result.map_or_else(|error| error.to_string(), |()| "it was closed here".to_owned())));
    // TLS says its own goodbye. A peer that does not read is not waited for.
    tokio::select! {
        biased;
        _ = writer.shutdown() => {}
        () = tokio::task::yield_now() => {}
    }
}

/// Writes until a goodbye has been written.
async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    queue: &mut mpsc::UnboundedReceiver<Outgoing>,
    shared: &Shared,
) -> io::Result<()> {
    while let Some(mut next) = queue.recv().await {
        loop {
            next.frame.write(writer).await?;
            shared.backlog.fetch_sub(next.frame.size(), Relaxed);
            if next.frame == Frame::Goodbye {
                return writer.flush().await;
            }
            match queue.try_recv() {
                Ok(more) => next = more,
                Err(_) => break,
            }
        }
        writer.flush().await?;
    }
    Ok(())
}
