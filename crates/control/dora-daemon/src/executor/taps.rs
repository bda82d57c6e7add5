//! Looking at what outputs send: each output that somebody looks at is read by a thread of its own.
//!
//! Whoever looks and is slow misses messages, which its edge counts; that delays no node. The thread waits for him.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use dora_channel::Message;
use dora_gateways::{OutputId, RawMessage, TappedMessage};
use dora_rpc::{RpcStream, StreamSender, stream};
use tokio::{runtime::Handle, sync::mpsc};

use super::run::Run;
use crate::{
    keeper::Control,
    tap::{TapEnd, TapReader, Tapped},
};

/// Messages that wait in an edge for who looks.
const CAPACITY: u32 = 64;
/// Messages that are on their way to him.
const ON_THE_WAY: usize = 16;
/// Bytes of a message that is sent along. As MessagePack it is at most twice as long, and fits into a reply.
const LONGEST: usize = 4 << 20;
/// The stack of a thread that reads.
const STACK: usize = 256 << 10;

/// The outputs of one dataflow that somebody looks at.
#[derive(Debug, Default)]
pub(super) struct Taps(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: BTreeMap<u64, Tap>,
}

/// One output.
#[derive(Debug)]
struct Tap {
    reading: Reading,
    /// Ends the thread that reads from the present process of the node.
    end: Option<TapEnd>,
    /// When the last one is dropped, there is nothing more to be seen.
    _more: mpsc::Sender<()>,
}

/// Where messages of an output go.
#[derive(Debug, Clone)]
struct Reading {
    output: OutputId,
    payload: bool,
    to: Arc<StreamSender<TappedMessage>>,
}

/// Begins to look at outputs of a dataflow.
pub(super) fn look(run: &Arc<Run>, keeper: Control, outputs: Vec<OutputId>, payload: bool) -> RpcStream<TappedMessage> {
    let (to, messages) = stream(ON_THE_WAY);
    let to = Arc::new(to);
    let (more, mut none_left) = mpsc::channel(1);
    let taps: Vec<u64> = outputs
        .into_iter()
        .map(|output| {
            let reading = Reading { output: output.clone(), payload, to: to.clone() };
            let tap = run.taps.add(Tap { reading, end: None, _more: more.clone() });
            keeper.tap(tap, output.node, output.output, CAPACITY);
            tap
        })
        .collect();
    drop(more);
    let run = run.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = to.abandoned() => for tap in taps {
                run.taps.remove(tap);
                keeper.untap(tap);
            },
            _ = none_left.recv() => {}
        }
    });
    messages
}

impl Taps {
    fn add(&self, tap: Tap) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        state.open.insert(number, tap);
        number
    }

    /// A process of the node sends: its messages are read from now on. Called by the worker, on no task.
    pub(super) fn opened(&self, tap: u64, reader: TapReader, runtime: &Handle) {
        let reading = {
            let mut state = self.lock();
            let Some(tap) = state.open.get_mut(&tap) else { return };
            tap.end = Some(reader.end());
            tap.reading.clone()
        };
        let runtime = runtime.clone();
        let thread = thread::Builder::new().name("tap".to_owned()).stack_size(STACK);
        // Without a thread there is nothing to be seen.
        if thread.spawn(move || reading.read(reader, &runtime)).is_err() {
            self.remove(tap);
        }
    }

    /// Nothing more will be sent on an output, or nobody looks any more.
    pub(super) fn remove(&self, tap: u64) {
        let removed = self.lock().open.remove(&tap);
        if let Some(end) = removed.and_then(|tap| tap.end) {
            end.end();
        }
    }

    /// No more messages will come; those that wait are still read.
    pub(super) fn over(&self, tap: u64) {
        self.lock().open.remove(&tap);
    }

    /// The dataflow has ended.
    pub(super) fn end(&self) {
        self.lock().open.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn read(self, mut reader: TapReader, runtime: &Handle) {
        let mut missed = 0;
        loop {
            match reader.next(None) {
                Tapped::Message(message) => {
                    let before = std::mem::replace(&mut missed, reader.missed());
                    let tapped = self.tapped(&message, missed - before);
                    // Whoever reads later must not hold the sender's memory.
                    drop(message);
                    if runtime.block_on(self.to.send(tapped)).is_err() {
                        return;
                    }
                }
                Tapped::Over => return,
                Tapped::TimedOut => {}
            }
        }
    }

    fn tapped(&self, message: &Message, missed: u64) -> TappedMessage {
        let (header, payload) = (message.header(), message.payload());
        let fits = self.payload && header.len() + payload.len() <= LONGEST;
        let raw = || RawMessage { tag: message.tag(), header: header.to_vec(), payload: payload.to_vec() };
        TappedMessage {
            from: self.output.clone(),
            time_ns: message.stamp_ns(),
            len: payload.len() as u64,
            message: fits.then(raw),
            missed,
        }
    }
}
