//! Who reads standard output. A command that goes on by itself must end when nobody does any more, also while it has
//! nothing to say.

use std::{
    io::{self, PipeReader},
    os::fd::{AsFd as _, OwnedFd},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use tokio::sync::oneshot;

/// Does this for as long as somebody reads standard output; none if that was over first.
pub(crate) async fn while_read<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = abandoned() => None,
        done = work => Some(done),
    }
}

/// Comes back when what is written to standard output reaches nobody: the other end of its pipe is closed. Files are
/// always read.
pub(crate) async fn abandoned() {
    let watched = match io::stdout().as_fd().try_clone_to_owned() {
        Ok(stdout) => gone(stdout).await,
        Err(error) => Err(error),
    };
    if watched.is_err() {
        // It was closed from the start, or the system has no thread to spare: whoever writes will see.
        std::future::pending().await
    }
}

/// Comes back when the other end of this is closed. A thread waits for it, as long as this is wanted.
async fn gone(descriptor: OwnedFd) -> io::Result<()> {
    let (stop, _wanted) = io::pipe()?;
    let (tell, told) = oneshot::channel();
    let wait = move || {
        if await_error(&descriptor, &stop) {
            let _ = tell.send(());
        }
    };
    thread::Builder::new().name("stdout".to_owned()).stack_size(64 * 1024).spawn(wait)?;
    told.await.map_err(io::Error::other)
}

/// Waits until a descriptor has an error or is hung up: true. False if that is not wanted any more.
fn await_error(descriptor: &OwnedFd, stop: &PipeReader) -> bool {
    // Errors are always told; nothing else is asked for.
    let mut both = [PollFd::new(descriptor, PollFlags::empty()), PollFd::new(stop, PollFlags::empty())];
    loop {
        match poll(&mut both, None) {
            Ok(_) => return both[1].revents().is_empty(),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, time::Duration};

    use tokio::time::timeout;

    use super::*;

    /// Far longer than it takes, and short enough to see that it does not come.
    const MOMENT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn the_end_of_a_reader_is_noticed_without_writing() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let other = writer.try_clone().expect("a descriptor");
        assert!(timeout(MOMENT, gone(other.into())).await.is_err(), "somebody reads");
        drop(reader);
        gone(writer.into()).await.expect("a thread");
        let (reader, writer) = UnixStream::pair().expect("sockets");
        drop(reader);
        gone(writer.into()).await.expect("a thread");
    }

    #[tokio::test]
    async fn a_file_is_never_abandoned() {
        let file = tempfile::tempfile().expect("a file");
        assert!(timeout(MOMENT, gone(file.into())).await.is_err());
    }

    #[test]
    fn who_does_not_want_to_know_any_more_keeps_no_thread() {
        let (_reader, writer) = io::pipe().expect("a pipe");
        let (stop, wanted) = io::pipe().expect("a pipe");
        let waiting = thread::spawn(move || await_error(&writer.into(), &stop));
        drop(wanted);
        assert!(!waiting.join().expect("no panic"));
    }
}
