//! How components call each other: Apache Flink's RPC design, in Rust.
//!
//! A component is an **endpoint**: state, and one main thread that alone reaches it. What it can be asked is a
//! **gateway**: a trait. A **service** starts endpoints and connects to gateways; whether the other side is in this
//! process or on another machine is the service's business, not the caller's.
//!
//! ```
//! use dora_rpc::{Address, ListenOn, MainThread, Role, RpcConfig, RpcEndpoint, RpcError, RpcService};
//!
//! // What can be asked, and of which types. The errors of a method convert from `RpcError`; here it is just that.
//! dora_rpc::gateway! {
//!     /// Adds numbers.
//!     pub trait CounterGateway, calls CounterCall {
//!         /// Adds `amount`; the new total.
//!         async fn add(&self, amount: u64) -> Result<u64, RpcError> => Add;
//!     }
//! }
//!
//! // Who answers. `handle` is not async and runs on one task: the total needs no lock.
//! struct Counter {
//!     total: u64,
//! }
//!
//! impl RpcEndpoint for Counter {
//!     type Call = CounterCall;
//!
//!     fn handle(&mut self, _main: &mut MainThread<Self>, call: CounterCall) {
//!         match call {
//!             CounterCall::Add { amount, reply } => {
//!                 self.total += amount;
//!                 reply.ok(self.total);
//!             }
//!         }
//!     }
//! }
//!
//! // Who asks. It cannot tell where the counter is.
//! async fn count(counter: &impl CounterGateway) -> Result<u64, RpcError> {
//!     counter.add(2).await?;
//!     counter.add(3).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = RpcService::new(RpcConfig::new(Role::Coordinator, "here"));
//! service.start_server("counter", Counter { total: 0 })?;
//!
//! // In this process: the call is put into the mailbox as it is.
//! let near = service.connect(&Address::here(), "counter").await?;
//! assert_eq!(count(&near).await?, 5);
//!
//! // From another one: the same trait over TCP (or TLS, or a unix socket).
//! let address = service.listen(ListenOn::Tcp { address: "127.0.0.1:0".parse()?, insecure: false }).await?;
//! let client = RpcService::new(RpcConfig::new(Role::Client, "there"));
//! let far = client.connect(&address, "counter").await?;
//! assert_eq!(count(&far).await?, 10);
//!
//! service.stop().await;
//! # Ok(()) }
//! ```
//!
//! # Flink's parts and ours
//!
//! | Flink | here | does |
//! |---|---|---|
//! | `RpcGateway` | the trait of [`gateway!`] | typed calls |
//! | `RpcInvocation` | the enum of [`gateway!`], a [`Request`] | one call as a value |
//! | `AkkaInvocationHandler`, `PekkoInvocationHandler` | [`Gateway`] | turns a method call into a call as a value, sends it, waits |
//! | `RpcEndpoint` | [`RpcEndpoint`] | state and what is done with calls |
//! | `MainThreadExecutor`, `validateRunsInMainThread` | [`MainThread`], [`MainThreadExecutor`]; the validation is done by the types | state is reached on the endpoint's own task only |
//! | `RpcServer`, `RpcEndpointTerminationResult` | [`Server`], [`LifeCycle`] | the running endpoint, for who started it |
//! | `RpcService` | [`RpcService`] | starts, connects, stops |
//! | `FencedRpcEndpoint`, `FencedRpcGateway` | [`Publication::fenced`], [`RpcService::connect_fenced`], [`FencingToken`] | a stale leader is not served |
//! | `RpcTimeout` | [`Gateway::within`] | the deadline of a call |
//! | `HeartbeatManager`, `HeartbeatListener` | [`HeartbeatManager`], [`HeartbeatListener`] | who is alive |
//! | `RetryingRegistration`, `RegisteredRpcConnection` | [`RetryingRegistration::run`], [`RetryingRegistration::keep`] | registers until it works, and again |
//!
//! # What holds
//!
//! - Handlers of an endpoint never run at the same time and never wait. What takes time is handed to the main thread:
//!   [`then`](MainThread::then), [`reply`](MainThread::reply), [`schedule`](MainThread::schedule),
//!   [`blocking`](MainThread::blocking); from outside [`run_async`](MainThreadExecutor::run_async) and
//!   [`call`](MainThreadExecutor::call).
//! - Every call has a deadline. When it passes, or when the caller drops the call, the server drops what it was doing
//!   ([`MainThread::reply`], [`Reply::abandoned`]); a call that still waits in the mailbox is not begun.
//! - Calls of one caller arrive in the order in which they were sent, but nothing is promised about the order in which they
//!   are answered.
//! - Every queue is bounded. A full mailbox holds up callers in this process, and answers those outside with
//!   [`RpcError::Overloaded`]; a message that is too large is refused before it is sent; a stream says what it dropped.
//! - Gateways and streams are values: they can stand in arguments and results. A daemon that dialled out hands over its own
//!   gateway and is called back on the same connection.
//! - Peers whose protocol version differs by one understand each other. An unknown method is an error of that call, an
//!   unknown field is skipped.
//! - An endpoint that panics is not started again: [`RpcService::failed`] completes, and the process is expected to end.
//! - Nothing polls, and an idle connection wakes nobody up.
//!
//! # Files, in reading order
//!
//! `gateway` and `reply`: from a method call to a value and back. `endpoint`, `main_thread`: who serves it. `service`,
//! `registry`, `connect`, `acceptor`: who finds whom. `handshake`, `frame`, `codec`: the bytes. `connection/`: calls and
//! streams of one connection. `transport/`, `identity`, `token`: sockets and trust. `fencing`, `heartbeat`, `registration`:
//! what distributed components need besides.
//!
//! # Why no RPC crate
//!
//! remoc comes nearest: traits, streams, and gateways as values. Measured against what is promised above, it lacked three
//! things: a message that is too large ends its channel for every later call instead of being refused by itself; calls have
//! no deadlines; and each call and each channel costs tasks. tarpc has neither streams nor calls back, tonic and capnp need
//! an interface language. What is left to write is small: a table of calls, and credit for streams.

// The code of `gateway!` names this crate from wherever it is used, also in here.
extern crate self as dora_rpc;

mod acceptor;
mod codec;
mod connect;
mod connection;
mod endpoint;
mod error;
mod fencing;
mod frame;
mod gateway;
mod handshake;
mod heartbeat;
mod hex;
mod identity;
mod main_thread;
mod registration;
mod registry;
mod reply;
mod service;
mod stream;
mod token;
mod transport;

pub use codec::Message;
pub use connect::ConnectError;
pub use endpoint::{LifeCycle, RpcEndpoint, Server};
pub use error::RpcError;
pub use fencing::{EpochGuard, FencingToken, StaleLeader};
pub use gateway::{DEFAULT_DEADLINE, Gateway, Request};
pub use handshake::{Introduction, PROTOCOL_VERSION, Refusal, Role};
pub use heartbeat::{HeartbeatConfig, HeartbeatListener, HeartbeatManager, HeartbeatTarget, Unreachable};
pub use identity::{Fingerprint, Identity, IdentityError, NoFingerprint, Pem};
pub use main_thread::{MainThread, MainThreadExecutor, Scheduled};
pub use registration::{Backoff, Retryable, RetryingRegistration};
pub use registry::{Publication, StartError};
pub use reply::Reply;
pub use service::{EndpointPanic, RpcConfig, RpcService};
pub use stream::{ReaderGone, RpcStream, StreamSender, Streamed, stream};
pub use token::{NoRandomness, Token};
pub use transport::{Address, ListenError, ListenOn};

#[doc(hidden)]
pub use serde;

/// What the code of [`gateway!`] needs.
#[doc(hidden)]
pub mod wire {
    pub use crate::{
        connection::{IncomingCall, Outbound},
        reply::{inbound, unknown_method},
    };
}
