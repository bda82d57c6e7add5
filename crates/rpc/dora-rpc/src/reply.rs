//! The way back of a call: where an endpoint puts the result.

use std::fmt;

use tokio::sync::oneshot;

use crate::{
    Message, RpcError, codec,
    connection::{IncomingCall, Outbound},
};

/// Takes the result of one call to its caller, wherever that is. Dropped without a result, the call fails with
/// [`RpcError::Unanswered`].
#[must_use = "a call whose reply is dropped fails"]
pub struct Reply<T, E> {
    way: Way<T, E>,
}

enum Way<T, E> {
    Here(oneshot::Sender<Result<T, E>>),
    There(IncomingCall),
}

impl<T: Message, E: Message + From<RpcError>> Reply<T, E> {
    /// A reply to a caller in this process, and where that waits for it.
    pub(crate) fn channel() -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (sender, answer) = oneshot::channel();
        (Self { way: Way::Here(sender) }, answer)
    }

    #[doc(hidden)]
    pub fn there(call: IncomingCall) -> Self {
        Self { way: Way::There(call) }
    }

    /// Sends the result. A result that is too large becomes [`RpcError::TooLarge`]; one that nobody waits for is dropped.
    pub fn send(self, result: Result<T, E>) {
        match self.way {
            Way::Here(sender) => drop(sender.send(result)),
            Way::There(call) => call.answer_with(&result),
        }
    }

    /// Sends a value.
    pub fn ok(self, value: T) {
        self.send(Ok(value));
    }

    /// Sends an error of the method.
    pub fn err(self, error: E) {
        self.send(Err(error));
    }

    /// Whether the caller is gone: its deadline has passed, it was dropped, or its connection has ended.
    pub fn is_abandoned(&self) -> bool {
        match &self.way {
            Way::Here(sender) => sender.is_closed(),
            Way::There(call) => call.is_abandoned(),
        }
    }

    /// Completes when the caller is gone.
    pub async fn abandoned(&mut self) {
        match &mut self.way {
            Way::Here(sender) => sender.closed().await,
            Way::There(call) => call.abandoned().await,
        }
    }

    #[doc(hidden)]
    pub fn refuse(self, error: RpcError) {
        match self.way {
            Way::Here(sender) => drop(sender.send(Err(error.into()))),
            Way::There(call) => call.fail(&error),
        }
    }

    /// The call with its arguments as bytes. `None` if they cannot be sent: then the caller has been told.
    #[doc(hidden)]
    pub fn outbound(self, method: &'static str, arguments: &impl serde::Serialize, limit: usize) -> Option<Outbound> {
        match codec::encode(method, arguments, limit) {
            Ok(body) => {
                let complete = Box::new(move |result: Result<Vec<u8>, RpcError>| {
                    match result.and_then(|body| codec::decode::<Result<T, E>>(method, &body)) {
                        Ok(result) => self.send(result),
                        Err(error) => self.refuse(error),
                    }
                });
                Some(Outbound { method, body, complete })
            }
            Err(error) => {
                self.refuse(error);
                None
            }
        }
    }
}

/// The arguments of a call of the peer. `None` if they cannot be understood: then the caller has been told.
#[doc(hidden)]
pub fn inbound<T: serde::de::DeserializeOwned>(
    method: &str,
    body: &[u8],
    call: IncomingCall,
) -> Option<(T, IncomingCall)> {
    match codec::decode(method, body) {
        Ok(arguments) => Some((arguments, call)),
        Err(error) => {
            call.fail(&error);
            None
        }
    }
}

/// Answers a call of a method that this version does not have.
#[doc(hidden)]
pub fn unknown_method(method: &str, call: IncomingCall) {
    call.fail(&RpcError::UnknownMethod { method: method.to_owned() });
}

impl<T, E> fmt::Debug for Reply<T, E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reply").finish_non_exhaustive()
    }
}
