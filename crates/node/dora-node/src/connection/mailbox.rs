//! What the keeper says while the dataflow runs, in the order in which it said it.
//!
//! Edges to whoever looks at an output are no mail: the sending half takes them in, see [`Mailbox::take_outputs`].
//!
//! Two threads take mail from the socket: the watcher, which waits for it, and the receiver, which looks once more when
//! an input ends, because the reason was sent before. Both do it under one lock, so the order is kept.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use dora_channel::{
    SenderControl,
    os::packet::{self, Blocking},
};
use dora_message::{
    id::DataId,
    keeper::{EdgeGrant, FromNode, LooseMessage, MAX_PACKET, ToNode},
};
use rustix::net::Shutdown;

use super::inherited::KeeperSocket;

/// One piece of mail.
#[derive(Debug)]
pub(crate) enum Mail {
    /// An incoming edge from a node that was started again, with its descriptors.
    Edge(EdgeGrant, Vec<OwnedFd>),
    /// A message that came on no edge, with its memory.
    Message(Published),
    /// The keeper said something.
    Packet(ToNode),
    /// The keeper is gone, and with it the dataflow.
    KeeperGone,
}

/// A message that somebody sent in place of a node.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) input: DataId,
    pub(crate) stamp_ns: u64,
    pub(crate) message: LooseMessage,
    pub(crate) memory: OwnedFd,
}

/// Messages in the mail at most; the oldest makes room. Each costs a descriptor.
const MOST_PUBLISHED: usize = 64;

/// The mail of one node. Without a socket it stays empty.
#[derive(Debug)]
pub(crate) struct Mailbox {
    socket: Option<Arc<KeeperSocket>>,
    control: Option<Arc<SenderControl>>,
    new: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Mail>,
    /// For the sender; at most one for each bit.
    outputs: Vec<(EdgeGrant, Vec<OwnedFd>)>,
    buffer: Vec<u8>,
    over: bool,
}

impl Mailbox {
    pub(crate) fn new(socket: Option<Arc<KeeperSocket>>, control: Option<Arc<SenderControl>>) -> Self {
        Mailbox { socket, control, new: AtomicBool::new(false), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to wait on for mail; nothing if none can come.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_deref().map(AsFd::as_fd)
    }

    /// Whether there is mail to take.
    #[inline]
    pub(crate) fn has_new(&self) -> bool {
        self.new.load(SeqCst)
    }

    /// The mail that was collected so far.
    pub(crate) fn take(&self) -> VecDeque<Mail> {
        let mut state = self.state();
        self.new.store(false, SeqCst);
        std::mem::take(&mut state.queue)
    }

    /// Outgoing edges that were granted since the start. The sender is told by
    /// [`SenderControl::bring_news`].
    pub(crate) fn take_outputs(&self) -> Vec<(EdgeGrant, Vec<OwnedFd>)> {
        std::mem::take(&mut self.state().outputs)
    }

    /// Collects what lies in the socket, without waiting. False: no more will come.
    ///
    /// `Stop` and the end of the keeper release senders here and not where the mail is read: a thread that waits to
    /// send cannot read.
    pub(crate) fn collect(&self) -> bool {
        let Some(socket) = self.socket() else { return false };
        let mut state = self.state();
        while !state.over {
            state.buffer.resize(MAX_PACKET, 0);
            let packet = match packet::receive(socket, &mut state.buffer, Blocking::No) {
                Ok((0, _)) => None,
                Ok((len, fds)) => Some((serde_json::from_slice(&state.buffer[..len]), fds)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => None,
            };
            match packet {
                Some((Ok(ToNode::Output(grant)), fds)) => self.keep_output(&mut state, grant, fds),
                Some((Ok(ToNode::Input(grant)), fds)) => self.keep(&mut state, Mail::Edge(grant, fds)),
                Some((Ok(ToNode::Message { input, stamp_ns, message }), fds)) => {
                    if let Some(memory) = fds.into_iter().next() {
                        self.keep_message(&mut state, Published { input, stamp_ns, message, memory });
                    }
                }
                Some((Ok(packet), _)) => self.keep(&mut state, Mail::Packet(packet)),
                Some((Err(_), _)) => {} // from a newer keeper
                None => {
                    state.over = true;
                    self.keep(&mut state, Mail::KeeperGone);
                }
            }
        }
        !state.over
    }

    fn keep(&self, state: &mut State, mail: Mail) {
        if matches!(mail, Mail::KeeperGone | Mail::Packet(ToNode::Stop))
            && let Some(control) = &self.control
        {
            control.stop();
        }
        state.queue.push_back(mail);
        self.new.store(true, SeqCst);
    }

    /// A process that never receives keeps no more of them than a short queue.
    fn keep_message(&self, state: &mut State, message: Published) {
        let is_message = |mail: &Mail| matches!(mail, Mail::Message(_));
        if state.queue.iter().filter(|mail| is_message(mail)).count() == MOST_PUBLISHED
            && let Some(oldest) = state.queue.iter().position(is_message)
        {
            state.queue.remove(oldest);
        }
        self.keep(state, Mail::Message(message));
    }

    /// A process that never sends keeps no more of them than there can be at one time.
    fn keep_output(&self, state: &mut State, grant: EdgeGrant, fds: Vec<OwnedFd>) {
        state.outputs.retain(|(older, _)| older.bit != grant.bit);
        state.outputs.push((grant, fds));
        if let Some(control) = &self.control {
            control.bring_news();
        }
    }

    /// Says something, without waiting. False: it cannot be told.
    pub(crate) fn say(&self, packet: &FromNode) -> bool {
        let (Some(socket), Ok(json)) = (self.socket(), serde_json::to_vec(packet)) else { return false };
        packet::send(socket, &json, &[], Blocking::No).is_ok()
    }

    /// Ends the conversation from our side; whoever waits on the socket is woken.
    pub(super) fn hang_up(&self) {
        self.shut_down(Shutdown::Both);
    }

    /// Hears no more; whoever waits on the socket is woken.
    pub(super) fn stop_hearing(&self) {
        self.shut_down(Shutdown::Read);
    }

    fn shut_down(&self, direction: Shutdown) {
        if let Some(socket) = self.socket() {
            let _ = rustix::net::shutdown(socket, direction);
        }
    }
}
