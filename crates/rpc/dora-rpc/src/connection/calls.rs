//! Calls over a connection: ours until the answer comes, the peer's until we have answered.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Connection, DOOR, Exported, MAX_CALLS, Shared, Wish, failure_body, scope};
use crate::{
    RpcError, codec,
    frame::{Frame, Violation},
};

/// What is done with the answer: it is decoded into what the caller waits for. Runs in the task that reads.
pub(crate) type Completion = Box<dyn FnOnce(Result<Vec<u8>, RpcError>) + Send>;

/// A call that is ready to be sent.
pub struct Outbound {
    pub(crate) method: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) complete: Completion,
}

/// A call of ours that is under way. Dropping it before the answer has come cancels it at the server.
pub(crate) struct CallGuard {
    shared: Arc<Shared>,
    call: u64,
    _turn: OwnedSemaphorePermit,
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let pending = self.shared.tables().asked.remove(&self.call);
        if pending.is_some() {
            self.shared.send(Frame::Cancel { call: self.call });
        }
    }
}

impl Connection {
    /// Sends a call as soon as it is its turn. `None` if it cannot be sent: then it has been completed.
    pub(crate) async fn ask(&self, endpoint: u64, outbound: Outbound) -> Option<CallGuard> {
        let shared = self.shared();
        let Ok(turn) = shared.turns.clone().acquire_owned().await else {
            let reason = self.closed().await;
            (outbound.complete)(Err(reason));
            return None;
        };
        if shared.is_crowded() {
            (outbound.complete)(Err(overloaded()));
            return None;
        }
        let call = {
            let mut tables = shared.tables();
            if let Some(reason) = tables.closed.clone() {
                drop(tables);
                (outbound.complete)(Err(reason));
                return None;
            }
            let call = tables.number();
            tables.asked.insert(call, outbound.complete);
            call
        };
        shared.send(Frame::Call { call, endpoint, method: outbound.method.to_owned(), body: outbound.body });
        Some(CallGuard { shared: shared.clone(), call, _turn: turn })
    }
}

impl Shared {
    /// An answer has come. One that nobody waits for any longer is dropped unread.
    pub(super) fn conclude(self: &Arc<Self>, call: u64, result: Result<Vec<u8>, RpcError>) -> Result<(), Violation> {
        let completion = self.tables().asked.remove(&call);
        if let Some(complete) = completion {
            scope::enter(self, || complete(result));
        }
        Ok(())
    }

    /// A call of the peer has come.
    pub(super) fn serve(
        self: &Arc<Self>,
        call: u64,
        endpoint: u64,
        method: String,
        body: &[u8],
    ) -> Result<(), Violation> {
        let (alive, caller) = oneshot::channel();
        let (exported, crowded) = {
            let mut tables = self.tables();
            let crowded = tables.serving.len() >= MAX_CALLS;
            if tables.serving.insert(call, caller).is_some() {
                return Err(Violation::Protocol("a call has the number of another one that is under way"));
            }
            (tables.exports.get(&endpoint).cloned(), crowded)
        };
        let call = IncomingCall { shared: self.clone(), call, method, alive: Some(alive) };
        match exported {
            _ if crowded => call.fail(&overloaded()),
            None if endpoint == DOOR => self.admit(call, body),
            None => call.fail(&RpcError::UnknownEndpoint { name: format!("number {endpoint}") }),
            Some(exported) => {
                let method = call.method.clone();
                scope::enter(self, || exported.deliver(&method, body, call));
            }
        }
        Ok(())
    }

    /// The peer wishes to call an endpoint.
    fn admit(&self, call: IncomingCall, body: &[u8]) {
        let granted = codec::decode::<Wish>("open", body).and_then(|wish| {
            let nothing = || RpcError::UnknownEndpoint { name: wish.name.clone() };
            let exported: Arc<dyn Exported> = {
                let entrance = self.entrance.as_ref().ok_or_else(nothing)?;
                entrance.directory.open(&wish, entrance.role)?
            };
            Ok(self.export(exported))
        });
        match granted.and_then(|number| codec::encode("open", &number, usize::MAX)) {
            Ok(body) => call.answer(body),
            Err(error) => call.fail(&error),
        }
    }
}

fn overloaded() -> RpcError {
    RpcError::Overloaded { endpoint: "connection".to_owned() }
}

/// A call of the peer that wants an answer. Dropped without one, it fails.
pub struct IncomingCall {
    shared: Arc<Shared>,
    call: u64,
    method: String,
    /// Closed when the caller is gone. Taken when the call is answered.
    alive: Option<oneshot::Sender<()>>,
}

impl IncomingCall {
    pub(crate) fn answer(mut self, body: Vec<u8>) {
        self.conclude(|call| Frame::Answer { call, body });
    }

    pub(crate) fn fail(mut self, error: &RpcError) {
        self.conclude(|call| Frame::Failure { call, body: failure_body(error) });
    }

    fn conclude(&mut self, frame: impl FnOnce(u64) -> Frame) {
        let still_wanted = self.shared.tables().serving.remove(&self.call).is_some();
        if self.alive.take().is_some() && still_wanted {
            self.shared.send(frame(self.call));
        }
    }

    /// Encodes an answer for this caller and sends it, or why it cannot be sent.
    pub(crate) fn answer_with<T: serde::Serialize>(self, result: &T) {
        let limit = self.shared.limits.message;
        match scope::enter(&self.shared, || codec::encode(&self.method, result, limit)) {
            Ok(body) => self.answer(body),
            Err(error) => self.fail(&error),
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.alive.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(crate) async fn abandoned(&mut self) {
        if let Some(alive) = &mut self.alive {
            alive.closed().await;
        }
    }
}

impl Drop for IncomingCall {
    fn drop(&mut self) {
        if self.alive.is_some() {
            let error = RpcError::Unanswered { method: self.method.clone() };
            self.conclude(|call| Frame::Failure { call, body: failure_body(&error) });
        }
    }
}
