//! Why a call failed, and whether trying again can help. Errors of methods are the gateways' own; this is what lies below.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a call got no answer from the method it named.
///
/// The error type of each method converts from it, so a caller sees one type. It crosses the wire as it is.
///
/// ```
/// use dora_rpc::RpcError;
///
/// let error = RpcError::Overloaded { endpoint: "dispatcher".to_owned() };
/// assert!(error.retryable() && !error.may_have_run());
/// assert_eq!(error.code(), "rpc.overloaded");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The deadline of the call passed. The server was told to stop working on it.
    #[error("no answer to `{method}` within {within:?}")]
    Deadline {
        /// The method that was called.
        method: String,
        /// The deadline that the caller had set.
        within: Duration,
    },
    /// A message is larger than the limit. It was not sent.
    #[error("a message of `{what}` has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// The method, or the stream, to which the message belongs.
        what: String,
        /// Bytes of the message.
        size: u64,
        /// Bytes that a message may have.
        limit: u64,
    },
    /// The connection ended before the answer came.
    #[error("the connection is closed: {reason}")]
    Disconnected {
        /// Who closed it and why.
        reason: String,
    },
    /// The endpoint has stopped, or stops now and takes no more calls.
    #[error("endpoint `{endpoint}` has stopped")]
    Stopped {
        /// The gateway of the endpoint.
        endpoint: String,
    },
    /// More calls wait for this endpoint, or run on this connection, than it takes.
    #[error("endpoint `{endpoint}` is overloaded")]
    Overloaded {
        /// The gateway of the endpoint.
        endpoint: String,
    },
    /// The endpoint dropped the call without an answer: a bug of the endpoint.
    #[error("`{method}` was dropped without an answer")]
    Unanswered {
        /// The method that was called.
        method: String,
    },
    /// No endpoint of this name is published there (yet, or any longer).
    #[error("there is no endpoint `{name}`")]
    UnknownEndpoint {
        /// The name that was asked for.
        name: String,
    },
    /// The endpoint serves another gateway.
    #[error("endpoint `{name}` serves {actual}, not {expected}")]
    WrongGateway {
        /// The name of the endpoint.
        name: String,
        /// The gateway that the caller wanted.
        expected: String,
        /// The gateway that it serves.
        actual: String,
    },
    /// The other side is of another version and does not know this method.
    #[error("the other side does not know `{method}`; it is of another version")]
    UnknownMethod {
        /// The method that was called.
        method: String,
    },
    /// A message could not be understood, or not be written.
    #[error("a message of `{what}` cannot be understood: {reason}")]
    Malformed {
        /// The method, or the stream, to which the message belongs.
        what: String,
        /// What the codec says.
        reason: String,
    },
    /// The endpoint belongs to another leader than the caller believes.
    #[error("the leader of `{endpoint}` has changed: asked for {asked}, it is {actual}")]
    Fenced {
        /// The name of the endpoint.
        endpoint: String,
        /// The token of the caller.
        asked: String,
        /// The token of the endpoint.
        actual: String,
    },
    /// The role that the other side has does not reach this endpoint.
    #[error("a {role} may not call endpoint `{endpoint}`")]
    Forbidden {
        /// The name of the endpoint.
        endpoint: String,
        /// The role that the caller has.
        role: String,
    },
}

impl RpcError {
    /// Whether the same call can succeed later although nobody corrects anything.
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            Self::Deadline { .. }
                | Self::Disconnected { .. }
                | Self::Stopped { .. }
                | Self::Overloaded { .. }
                | Self::UnknownEndpoint { .. }
        )
    }

    /// Whether the method may have run although there is no answer: only an idempotent call may be repeated blindly.
    pub fn may_have_run(&self) -> bool {
        matches!(self, Self::Deadline { .. } | Self::Disconnected { .. } | Self::Unanswered { .. })
    }

    /// A name for programs that does not change with the wording.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Deadline { .. } => "rpc.deadline",
            Self::TooLarge { .. } => "rpc.too_large",
            Self::Disconnected { .. } => "rpc.disconnected",
            Self::Stopped { .. } => "rpc.stopped",
            Self::Overloaded { .. } => "rpc.overloaded",
            Self::Unanswered { .. } => "rpc.unanswered",
            Self::UnknownEndpoint { .. } => "rpc.unknown_endpoint",
            Self::WrongGateway { .. } => "rpc.wrong_gateway",
            Self::UnknownMethod { .. } => "rpc.unknown_method",
            Self::Malformed { .. } => "rpc.malformed",
            Self::Fenced { .. } => "rpc.fenced",
            Self::Forbidden { .. } => "rpc.forbidden",
        }
    }
}
