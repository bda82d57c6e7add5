//! The producer of a node that is part of a dataflow, and what becomes of its outputs when the node is dropped.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use dora_channel::Producer;
use dora_message::keeper::FromNode;

use crate::connection::Connection;

/// A producer whose outputs the keeper ends, if it does, when it is dropped.
///
/// A `main` that returns an error drops its node before the process ends, and only the exit code tells that it failed.
/// Consumers should read of the failure first, so the keeper is told of the drop and ends the outputs with the process,
/// or after a moment if that goes on.
#[derive(Debug)]
pub(super) struct Outlet {
    producer: Producer,
    keeper: Option<Arc<Connection>>,
}

impl Outlet {
    /// `keeper`: the connection to a keeper that ends outputs.
    pub(super) fn new(producer: Producer, keeper: Option<Arc<Connection>>) -> Self {
        Outlet { producer, keeper }
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
        if self.keeper.take().is_some_and(|keeper| keeper.say(&FromNode::Dropped)) {
            self.producer.leave_open();
        }
    }
}
