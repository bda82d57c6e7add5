//! How long a dynamic node is this process, for its keeper: until the last message that it received was dropped.
//!
//! The next process of the node takes the place of this one in the memory of its producers, so it must not come before.
//! A process that was started for the dataflow needs no lease: its end, which the keeper sees, is the end of all that.

use std::{os::fd::AsFd as _, sync::Arc};

use rustix::net::{Shutdown, shutdown};

use super::inherited::KeeperSocket;
use crate::fork;

/// Held by the connection and by everything received; ends the connection when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease(Arc<KeeperSocket>);

impl Lease {
    pub(super) fn of(socket: &Arc<KeeperSocket>) -> Arc<Self> {
        Arc::new(Lease(socket.clone()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Said, because a forked child may hold the socket open. The child itself has nothing to say.
        if fork::check().is_ok() {
            let _ = shutdown(self.0.as_fd(), Shutdown::Both);
        }
    }
}
