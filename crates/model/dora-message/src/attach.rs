//! How the process of a dynamic node finds a keeper: a name, a question and an answer.
//!
//! A keeper whose dataflow has dynamic nodes listens on a `SOCK_SEQPACKET` socket in the abstract namespace, which
//! leaves nothing behind and needs no port. A process asks, and whoever was answered [`Standing::Free`] goes on with
//! [`FromNode::Hello`](crate::keeper::FromNode::Hello) on the same connection:
//!
//! ```text
//! node   -> WhoIs                 the id of the node that the process wants to be
//! keeper -> Standing              whether it can be
//! node   -> Hello                 the conversation of every node, see `keeper`
//! ```
//!
//! Names tell nothing about who listens: each side asks the system for the user at the other end.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{DataflowId, NodeId};

/// Name of the environment variable that says which dataflow a dynamic node joins, when several run that have it.
pub const DATAFLOW_ID_ENV: &str = "DORA_DATAFLOW_ID";

/// The most dynamic nodes that a [`Standing::Unknown`] names.
pub const MOST_NAMED: usize = 50;

/// What names of a user's keepers begin with.
///
/// ```
/// use dora_message::attach::{dataflow_of, socket_name};
/// let dataflow = dora_message::id::DataflowId::nil();
/// assert_eq!(dataflow_of(1000, &socket_name(1000, &dataflow)), Some(dataflow));
/// assert_eq!(dataflow_of(0, &socket_name(1000, &dataflow)), None);
/// ```
pub fn name_prefix(uid: u32) -> String {
    format!("dora/{uid}/")
}

/// The name on which the keeper of a dataflow listens.
pub fn socket_name(uid: u32, dataflow: &DataflowId) -> String {
    format!("{}{dataflow}", name_prefix(uid))
}

/// The dataflow whose keeper listens on a name; `None` if it is not the name of a keeper of this user.
pub fn dataflow_of(uid: u32, name: &str) -> Option<DataflowId> {
    name.strip_prefix(&name_prefix(uid))?.parse().ok()
}

/// First packet on a connection to a keeper that listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToListener {
    /// Can this process be that node?
    WhoIs {
        /// The id.
        node: NodeId,
    },
}

/// What a keeper answers to [`ToListener::WhoIs`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Standing {
    /// The dataflow has no node of this id.
    Unknown {
        /// Its dynamic nodes, at most [`MOST_NAMED`].
        dynamic: Vec<NodeId>,
    },
    /// The node is started by the keeper.
    NotDynamic,
    /// Nobody is this node now.
    Free,
    /// A process is this node already.
    Taken {
        /// Its process id; `None` if it lives where the keeper sees no process ids, as in another container.
        pid: Option<u32>,
        /// It has left, but still holds messages that it received.
        holds_messages: bool,
    },
}

/// For people, to follow the name of the node: "is process 123 already".
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Unknown { .. } => f.write_str("is no node of the dataflow"),
            Standing::NotDynamic => f.write_str("is not dynamic: the dataflow starts it by itself"),
            Standing::Free => f.write_str("is no process yet"),
            Standing::Taken { pid, holds_messages } => {
                match pid {
                    Some(pid) => write!(f, "is process {pid} already")?,
                    None => f.write_str("is another process already")?,
                }
                match holds_messages {
                    true => f.write_str(", which has left but still holds messages that it received"),
                    false => Ok(()),
                }
            }
        }
    }
}
