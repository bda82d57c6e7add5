//! The one thread of a node: it waits for mail and for the end of the keeper, because a sender that waits for room, or a
//! user who computes, cannot.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use dora_channel::Waker;
use rustix::event::{PollFd, PollFlags, poll};

use super::mailbox::Mailbox;

/// Enough for parsing a packet of JSON; little, because every node has one.
const STACK: usize = 128 * 1024;

/// The thread.
#[derive(Debug)]
pub(super) struct Watcher(JoinHandle<()>);

impl Watcher {
    pub(super) fn start(mailbox: &Arc<Mailbox>, waker: Waker) -> io::Result<Self> {
        let mailbox = mailbox.clone();
        let thread = thread::Builder::new().name("dora-mail".to_owned()).stack_size(STACK);
        Ok(Watcher(thread.spawn(move || watch(&mailbox, &waker))?))
    }

    /// Waits for its end, which follows the end of the conversation.
    pub(super) fn join(self) {
        let _ = self.0.join();
    }
}

fn watch(mailbox: &Mailbox, waker: &Waker) {
    let Some(socket) = mailbox.socket() else { return };
    let mut more = true;
    while more {
        match poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::IN)], None) {
            Ok(_) => {
                more = mailbox.collect();
                waker.wake();
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
