//! An endpoint that does what the test says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dora_rpc::{Gateway, MainThread, Reply, RpcEndpoint, RpcError, RpcStream, StreamSender, Streamed, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum ScriptError {
    #[error("refused: {0}")]
    Refused(String),
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

dora_rpc::gateway! {
    /// What the tests call.
    pub trait ScriptGateway, calls ScriptCall {
        /// Adds to the total.
        async fn add(&self, amount: u64) -> Result<u64, ScriptError> => Add;
        /// Gives the bytes back.
        async fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>, ScriptError> => Echo;
        /// Gives so many bytes.
        async fn produce(&self, size: usize) -> Result<Vec<u8>, ScriptError> => Produce;
        /// Fails with an error of its own.
        async fn refuse(&self, reason: String) -> Result<(), ScriptError> => Refuse;
        /// Works until the caller is gone.
        async fn work(&self) -> Result<(), ScriptError> => Work;
        /// Works for some time.
        async fn work_for(&self, time: Duration) -> Result<(), ScriptError> => WorkFor;
        /// Keeps the reply until the endpoint ends.
        async fn keep(&self) -> Result<(), ScriptError> => Keep;
        /// Drops the reply.
        async fn forget(&self) -> Result<(), ScriptError> => Forget;
        /// Calls the caller back.
        async fn call_back(&self, caller: Gateway<CallbackCall>) -> Result<String, ScriptError> => CallBack;
        /// A stream into which `Push` writes.
        async fn follow(&self, capacity: usize) -> Result<RpcStream<String>, ScriptError> => Follow;
        /// Pushes so many lines into every stream that is followed.
        async fn push(&self, lines: u64) -> Result<(), ScriptError> => Push;
        /// Ends all streams.
        async fn end(&self) -> Result<(), ScriptError> => End;
        /// Adds up what a stream brings.
        async fn upload(&self, parts: RpcStream<u64>) -> Result<u64, ScriptError> => Upload;
        /// Panics.
        async fn panic(&self) -> Result<(), ScriptError> => Panic;
    }
}

dora_rpc::gateway! {
    /// What the endpoint calls back.
    pub trait CallbackGateway, calls CallbackCall {
        /// Says the name.
        async fn name(&self) -> Result<String, RpcError> => Name;
    }
}

/// What the test hears of the endpoint.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Started,
    Working,
    /// The work of `Work` was dropped before it was done.
    Cancelled,
    WriterSaw(dora_rpc::ReaderGone),
    Stopping,
}

pub struct Scripted {
    heard: mpsc::UnboundedSender<Heard>,
    total: u64,
    kept: Vec<Reply<(), ScriptError>>,
    followed: Vec<StreamSender<String>>,
    in_handler: Arc<AtomicBool>,
}

impl Scripted {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Heard>) {
        let (heard, hears) = mpsc::unbounded_channel();
        let scripted = Self { heard, total: 0, kept: Vec::new(), followed: Vec::new(), in_handler: Arc::default() };
        (scripted, hears)
    }

    fn say(&self, heard: Heard) {
        let _ = self.heard.send(heard);
    }

    fn push(&mut self, lines: u64) {
        for line in 0..lines {
            self.followed.retain(|stream| match stream.push(format!("line {line}")) {
                Ok(()) => true,
                Err(gone) => {
                    let _ = self.heard.send(Heard::WriterSaw(gone));
                    false
                }
            });
        }
    }
}

/// Says when it is dropped.
struct Guard(mpsc::UnboundedSender<Heard>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send(Heard::Cancelled);
    }
}

impl RpcEndpoint for Scripted {
    type Call = ScriptCall;

    fn on_start(&mut self, _main: &mut MainThread<Self>) {
        self.say(Heard::Started);
    }

    fn handle(&mut self, main: &mut MainThread<Self>, call: ScriptCall) {
        assert!(!self.in_handler.swap(true, Ordering::SeqCst), "two handlers run at once");
        match call {
            ScriptCall::Add { amount, reply } => {
                self.total += amount;
                reply.ok(self.total);
            }
            ScriptCall::Echo { bytes, reply } => main.reply(reply, async { Ok(bytes) }),
            ScriptCall::Produce { size, reply } => reply.ok(vec![7; size]),
            ScriptCall::Refuse { reason, reply } => reply.err(ScriptError::Refused(reason)),
            ScriptCall::Work { reply } => {
                self.say(Heard::Working);
                let guard = Guard(self.heard.clone());
                main.reply(reply, async move {
                    let _guard = guard;
                    std::future::pending().await
                });
            }
            ScriptCall::WorkFor { time, reply } => {
                self.say(Heard::Working);
                main.reply(reply, async move {
                    tokio::time::sleep(time).await;
                    Ok(())
                });
            }
            ScriptCall::Keep { reply } => {
                self.say(Heard::Working);
                self.kept.push(reply);
            }
            ScriptCall::Forget { reply } => drop(reply),
            ScriptCall::CallBack { caller, reply } => {
                main.reply(reply, async move { Ok(format!("hello {}", caller.name().await?)) });
            }
            ScriptCall::Follow { capacity, reply } => {
                let (sender, reader) = stream(capacity);
                self.followed.push(sender);
                reply.ok(reader);
            }
            ScriptCall::Push { lines, reply } => {
                self.push(lines);
                reply.ok(());
            }
            ScriptCall::End { reply } => {
                self.followed.clear();
                reply.ok(());
            }
            ScriptCall::Upload { mut parts, reply } => main.reply(reply, async move {
                let mut sum = 0;
                while let Some(part) = parts.next().await? {
                    match part {
                        Streamed::Item(part) => sum += part,
                        Streamed::Dropped(lost) => {
                            return Err(ScriptError::Refused(format!("{lost} parts are missing")));
                        }
                    }
                }
                Ok(sum)
            }),
            ScriptCall::Panic { reply: _reply } => panic!("as the test wants it"),
        }
        self.in_handler.store(false, Ordering::SeqCst);
    }

    fn on_stop(&mut self, _main: &mut MainThread<Self>) {
        self.say(Heard::Stopping);
    }
}

/// Says its name to who calls back.
pub struct Named(pub &'static str);

impl RpcEndpoint for Named {
    type Call = CallbackCall;

    fn handle(&mut self, _main: &mut MainThread<Self>, call: CallbackCall) {
        match call {
            CallbackCall::Name { reply } => reply.ok(self.0.to_owned()),
        }
    }
}
