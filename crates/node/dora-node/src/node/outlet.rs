//! The producer of a node that is part of a dataflow: who else reads its outputs, and what becomes of them when the node
//! is dropped.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use dora_channel::Producer;
use dora_message::keeper::FromNode;

use crate::connection::{ConnectError, Connection, Outgoing};

/// A producer whose outputs the keeper ends, if it does, when it is dropped.
///
/// A `main` that returns an error drops its node before the process ends, and only the exit code tells that it failed.
/// Consumers should read of the failure first, so the keeper is told of the drop and ends the outputs with the process,
/// or after a moment if that goes on.
#[derive(Debug)]
pub(super) struct Outlet {
    producer: Producer,
    outgoing: Outgoing,
    connection: Arc<Connection>,
    keeper_ends_outputs: bool,
}

impl Outlet {
    /// The producer with the edges that it has, and what is needed for further ones.
    pub(super) fn new(
        producer: Producer,
        outgoing: Outgoing,
        connection: Arc<Connection>,
        keeper_ends_outputs: bool,
    ) -> Self {
        Outlet { producer, outgoing, connection, keeper_ends_outputs }
    }

    /// After [`Producer::has_news`]: takes in the edges to those that look at outputs from now on. Gives what cannot be.
    #[cold]
    pub(super) fn take_in_edges(&mut self) -> Vec<ConnectError> {
        self.producer.take_news();
        let mut errors = Vec::new();
        for (grant, fds) in self.connection.mailbox().take_outputs() {
            match self.outgoing.open(&grant, fds) {
                Ok((output, edge)) => self.producer.add_edge(output, edge),
                Err(error) => errors.push(error),
            }
        }
        errors
    }
}

impl Deref for Outlet {
    type Target = Producer;
    #[inline]
    fn deref(&self) -> &Producer {
        &self.producer
    }
}

impl DerefMut for Outlet {
    #[inline]
    fn deref_mut(&mut self) -> &mut Producer {
        &mut self.producer
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        if self.keeper_ends_outputs && self.connection.say(&FromNode::Dropped) {
            self.producer.leave_open();
        }
    }
}
