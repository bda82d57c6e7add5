//! The connection of a node to its keeper: from the inherited socket to mapped edges and a thread that reads mail.
//!
//! - `inherited`: the one descriptor that the process was started with.
//! - `attach`: how a process that was not started for a dataflow finds one, as a dynamic node.
//! - `lease`: how long it stays that node.
//! - `handshake`: the conversation up to `Start`.
//! - `wiring`: what the keeper grants, mapped.
//! - `mailbox`: what the keeper says while the dataflow runs.
//! - `watcher`: the thread that waits for it.
//!
//! It must not know what events are.

mod attach;
mod handshake;
mod inherited;
mod lease;
mod mailbox;
mod watcher;
mod wiring;

use std::{io, sync::Arc};

use dora_channel::Waiter;
use dora_message::{
    id::{DataflowId, NodeId},
    keeper::{FromNode, NodeConfig, NodeRunConfig},
};

pub use attach::{AttachError, Running};
use inherited::KeeperSocket;
use lease::Lease;
pub(crate) use mailbox::{Mail, Mailbox, Published};
use watcher::Watcher;
pub(crate) use wiring::{Incoming, Outgoing, Wired};

/// Why a node could not connect to its dataflow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// `DORA_NODE_CONFIG` holds something else than the configuration of a node.
    #[error("DORA_NODE_CONFIG is set, but is not the configuration of a node of this version of dora: {0}")]
    Config(serde_json::Error),
    /// The descriptor in the configuration is not there.
    #[error(
        "DORA_NODE_CONFIG names descriptor {fd}, which is not a connection to a dataflow. Either a node started this \
         process as a child, which makes it no node; or this process was a node before, which it can be only once"
    )]
    NotInherited {
        /// Number of the descriptor.
        fd: i32,
    },
    /// There is a node in this process already.
    #[error("this process is connected to its dataflow already: there can be one node per process")]
    Taken,
    /// The keeper is gone.
    #[error("the dataflow ended while the node was being connected to it")]
    KeeperGone,
    /// The dataflow does not start; the text says why.
    #[error("{0}")]
    Refused(String),
    /// The system refused something.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The keeper said something that contradicts what it said before.
    #[error("`dora` and this node do not understand each other ({0}); build the node with the version of `dora`")]
    Protocol(String),
}

/// Adds what was tried to a system error.
fn trying<T>(doing: &'static str, result: io::Result<T>) -> Result<T, ConnectError> {
    result.map_err(|source| ConnectError::System { doing, source })
}

/// A node that may send and receive.
pub(crate) struct Connected {
    pub(crate) config: NodeRunConfig,
    pub(crate) wired: Wired,
    pub(crate) connection: Arc<Connection>,
}

/// Keeps the connection to the keeper open. The halves of a node share it; the last one to go closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    mailbox: Arc<Mailbox>,
    /// Taken when dropped.
    watcher: Option<Watcher>,
    /// Of a dynamic node.
    lease: Option<Arc<Lease>>,
}

impl Connection {
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Says something to the keeper, without waiting. False: it cannot be told.
    pub(crate) fn say(&self, packet: &FromNode) -> bool {
        self.mailbox.say(packet)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        match &self.lease {
            Some(_) => {
                self.mailbox.say(&FromNode::Left);
                self.mailbox.stop_hearing();
            }
            None => self.mailbox.hang_up(),
        }
        if let Some(watcher) = self.watcher.take() {
            watcher.join();
        }
    }
}

/// Connects to the keeper and returns when the dataflow starts.
pub(crate) fn connect(config: &NodeConfig) -> Result<Connected, ConnectError> {
    start(inherited::take(config.keeper_fd)?)
}

/// Why a process is no dynamic node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JoinError {
    #[error(transparent)]
    Attach(#[from] AttachError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// Joins a running dataflow as this dynamic node, and returns when the dataflow has started. `dataflow`: only this one.
pub(crate) fn join(node: &NodeId, dataflow: Option<DataflowId>) -> Result<Connected, JoinError> {
    Ok(start(KeeperSocket::found(attach::find(node, dataflow)?))?)
}

fn start(socket: KeeperSocket) -> Result<Connected, ConnectError> {
    let socket = Arc::new(socket);
    let (config, wired) = handshake::run(&socket)?;
    let lease = wired.incoming.lease();
    let mailbox = Arc::new(Mailbox::new(Some(socket), Some(wired.producer.control())));
    let watcher = trying("start the thread that hears the keeper", Watcher::start(&mailbox, wired.waiter.waker()))?;
    let connection = Arc::new(Connection { mailbox, watcher: Some(watcher), lease });
    Ok(Connected { config, wired, connection })
}

/// What a node that runs alone sleeps on.
pub(crate) fn waiter_alone() -> Result<Waiter, ConnectError> {
    const DOING: &str = "create what the node sleeps on";
    // No producer ever rings it: the smallest budget does.
    let channels = dora_channel::broker::NodeChannels::create("alone", 0)
        .map_err(|error| ConnectError::System { doing: DOING, source: io::Error::other(error) })?;
    let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned();
    trying(DOING, own(channels.bell()).and_then(|bell| Waiter::open(bell, own(channels.eventfd())?)))
}
