//! What a caller holds: a gateway, which is the trait of an endpoint as something that can be called.
//!
//! [`gateway!`](crate::gateway!) makes from one declaration the trait, the enum of its calls (Flink's `RpcInvocation`), and
//! the trait's implementation for [`Gateway`] (Flink's `AkkaInvocationHandler`, without reflection).

use std::{any::Any, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    Message, Reply, RpcError,
    connection::{CallGuard, Connection, Exported, IncomingCall, Outbound, scope},
};

/// How long a caller waits if it says nothing else.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// The calls of one gateway. Implemented by [`gateway!`](crate::gateway!), not by hand.
pub trait Request: Sized + Send + 'static {
    /// The name of the gateway's trait.
    const GATEWAY: &'static str;

    /// The method that is called.
    fn method(&self) -> &'static str;

    /// Whether the caller is gone, so that nobody waits for the result.
    fn is_abandoned(&self) -> bool;

    /// Answers the call with an error of this layer.
    fn refuse(self, error: RpcError);

    #[doc(hidden)]
    fn encode(self, limit: usize) -> Option<Outbound>;

    #[doc(hidden)]
    fn decode(method: &str, body: &[u8], call: IncomingCall) -> Option<Self>;
}

/// An endpoint that can be called, in this process or in another one: the caller cannot tell.
///
/// It implements the trait that [`gateway!`](crate::gateway!) declared. It can be cloned, and sent in messages: what is
/// called over a connection can so be given a way to call back. Every call has a deadline, [`DEFAULT_DEADLINE`] if
/// [`within`](Self::within) says nothing else; when it passes, or when the caller drops the call, the endpoint is told.
///
/// A connection lives as long as who dialled holds a gateway, or reads a stream, of it. When it ends, its gateways stay
/// dead: [`closed`](Self::closed) completes, and somebody connects again
/// ([`RetryingRegistration::keep`](crate::RetryingRegistration::keep)).
pub struct Gateway<R> {
    target: Target<R>,
    deadline: Duration,
}

enum Target<R> {
    Here(Mailbox<R>),
    There { connection: Connection, endpoint: u64 },
}

impl<R: Request> Gateway<R> {
    pub(crate) fn here(mailbox: Mailbox<R>, deadline: Duration) -> Self {
        Self { target: Target::Here(mailbox), deadline }
    }

    pub(crate) fn there(connection: Connection, endpoint: u64, deadline: Duration) -> Self {
        Self { target: Target::There { connection, endpoint }, deadline }
    }

    /// The same endpoint, called with another deadline.
    pub fn within(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Completes when the endpoint has ended (in this process), or the connection to it (in another one).
    pub async fn closed(&self) {
        match &self.target {
            Target::Here(mailbox) => mailbox.requests.closed().await,
            Target::There { connection, .. } => drop(connection.closed().await),
        }
    }

    /// Ends the connection to an endpoint in another process, with everything that is called over it in either direction:
    /// what is still under way is not served any more.
    pub fn disconnect(&self) {
        if let Target::There { connection, .. } = &self.target {
            connection.abort();
        }
    }

    /// Makes one call: what the methods of the trait do.
    #[doc(hidden)]
    pub async fn call<T, E>(&self, request: impl FnOnce(Reply<T, E>) -> R + Send) -> Result<T, E>
    where
        T: Message,
        E: Message + From<RpcError>,
    {
        let (reply, answer) = Reply::channel();
        let request = request(reply);
        let method = request.method();
        let work = async {
            let _under_way = self.deliver(request).await;
            answer.await.unwrap_or_else(|_| Err(RpcError::Unanswered { method: method.to_owned() }.into()))
        };
        let late = || RpcError::Deadline { method: method.to_owned(), within: self.deadline };
        timeout(self.deadline, work).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// Hands a call over. What comes back keeps it alive while it is under way.
    async fn deliver(&self, request: R) -> Option<CallGuard> {
        match &self.target {
            Target::Here(mailbox) => {
                if let Err(mpsc::error::SendError(request)) = mailbox.requests.send(request).await {
                    request.refuse(stopped::<R>());
                }
                None
            }
            Target::There { connection, endpoint } => {
                let shared = connection.shared();
                let outbound = scope::enter(shared, || request.encode(shared.limits.message))?;
                connection.ask(*endpoint, outbound).await
            }
        }
    }
}

fn stopped<R: Request>() -> RpcError {
    RpcError::Stopped { endpoint: R::GATEWAY.to_owned() }
}

/// The way into an endpoint: its requests, up to a bound.
pub(crate) struct Mailbox<R> {
    requests: mpsc::Sender<R>,
}

impl<R: Request> Mailbox<R> {
    pub(crate) fn new(capacity: usize) -> (Self, mpsc::Receiver<R>) {
        let (requests, queue) = mpsc::channel(capacity);
        (Self { requests }, queue)
    }
}

impl<R: Request> Exported for Mailbox<R> {
    fn gateway(&self) -> &'static str {
        R::GATEWAY
    }

    fn deliver(&self, method: &str, body: &[u8], call: IncomingCall) {
        let Some(request) = R::decode(method, body, call) else { return };
        match self.requests.try_send(request) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(request)) => {
                request.refuse(RpcError::Overloaded { endpoint: R::GATEWAY.to_owned() });
            }
            Err(mpsc::error::TrySendError::Closed(request)) => request.refuse(stopped::<R>()),
        }
    }

    fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    fn is_same(&self, other: &dyn Exported) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| other.requests.same_channel(&self.requests))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<R> Clone for Mailbox<R> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone() }
    }
}

impl<R> Clone for Gateway<R> {
    fn clone(&self) -> Self {
        let target = match &self.target {
            Target::Here(mailbox) => Target::Here(mailbox.clone()),
            Target::There { connection, endpoint } => {
                Target::There { connection: connection.clone(), endpoint: *endpoint }
            }
        };
        Self { target, deadline: self.deadline }
    }
}

impl<R: Request> fmt::Debug for Gateway<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Gateway({})", R::GATEWAY)
    }
}

impl<R: Request> Serialize for Gateway<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Target::Here(mailbox) = &self.target else {
            return Err(serde::ser::Error::custom("a gateway to another process cannot be passed on"));
        };
        let number = scope::current().map_err(serde::ser::Error::custom)?.export(Arc::new(mailbox.clone()));
        serializer.serialize_u64(number)
    }
}

impl<'de, R: Request> Deserialize<'de> for Gateway<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let endpoint = u64::deserialize(deserializer)?;
        let connection = scope::current().map_err(serde::de::Error::custom)?.holder();
        let connection = connection.map_err(serde::de::Error::custom)?;
        let deadline = connection.shared().limits.deadline;
        Ok(Self::there(connection, endpoint, deadline))
    }
}

/// Declares a gateway: a trait, the enum of its calls, and the trait's implementation for [`Gateway`] of that enum.
///
/// ```
/// use dora_rpc::{Gateway, RpcError};
///
/// dora_rpc::gateway! {
///     /// Adds numbers.
///     pub trait CounterGateway, calls CounterCall {
///         /// Adds `amount`; the new total.
///         async fn add(&self, amount: u64) -> Result<u64, RpcError> => Add;
///     }
/// }
///
/// async fn twice(counter: &impl CounterGateway) -> Result<u64, RpcError> {
///     counter.add(1).await?;
///     counter.add(1).await
/// }
///
/// async fn at(counter: Gateway<CounterCall>) -> Result<u64, RpcError> {
///     twice(&counter).await
/// }
/// ```
///
/// Each method ends with the name of its call: the endpoint matches on `CounterCall::Add { amount, reply }`. Arguments and
/// results are [`Message`]s; the error type converts from [`RpcError`]. On the wire a call is the method's name and its
/// arguments by name, so arguments may be added with `#[serde(default)]` before them, and methods may be added freely: an
/// older endpoint answers [`RpcError::UnknownMethod`].
#[macro_export]
macro_rules! gateway {
    (
        $(#[$about:meta])*
        $visibility:vis trait $gateway:ident, calls $call:ident {
            $(
                $(#[doc = $doc:literal])*
                async fn $method:ident(&self $(, $(#[$attribute:meta])* $argument:ident: $type:ty)* $(,)?)
                    -> Result<$ok:ty, $error:ty> => $variant:ident;
            )+
        }
    ) => {
        $(#[$about])*
        $visibility trait $gateway: Send + Sync {
            $(
                $(#[doc = $doc])*
                fn $method(&self $(, $argument: $type)*) -> impl Future<Output = Result<$ok, $error>> + Send;
            )+
        }

        #[doc = concat!("A call of [`", stringify!($gateway), "`].")]
        #[derive(Debug)]
        $visibility enum $call {
            $(
                $(#[doc = $doc])*
                $variant {
                    $(
                        #[doc = concat!("Argument `", stringify!($argument), "` of [`", stringify!($gateway), "::", stringify!($method), "`].")]
                        $argument: $type,
                    )*
                    /// Where the result goes.
                    reply: $crate::Reply<$ok, $error>,
                },
            )+
        }

        impl $crate::Request for $call {
            const GATEWAY: &'static str = stringify!($gateway);

            fn method(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($method),)+
                }
            }

            fn is_abandoned(&self) -> bool {
                match self {
                    $(Self::$variant { reply, .. } => reply.is_abandoned(),)+
                }
            }

            fn refuse(self, error: $crate::RpcError) {
                match self {
                    $(Self::$variant { reply, .. } => reply.refuse(error),)+
                }
            }

            fn encode(self, limit: usize) -> Option<$crate::wire::Outbound> {
                match self {
                    $(Self::$variant { $($argument,)* reply } => {
                        #[derive($crate::serde::Serialize)]
                        #[serde(crate = "dora_rpc::serde")]
                        struct Arguments { $($(#[$attribute])* $argument: $type,)* }
                        reply.outbound(stringify!($method), &Arguments { $($argument,)* }, limit)
                    })+
                }
            }

            fn decode(method: &str, body: &[u8], call: $crate::wire::IncomingCall) -> Option<Self> {
                match method {
                    $(stringify!($method) => {
                        #[derive($crate::serde::Deserialize)]
                        #[serde(crate = "dora_rpc::serde")]
                        struct Arguments { $($(#[$attribute])* $argument: $type,)* }
                        let (arguments, call) = $crate::wire::inbound::<Arguments>(method, body, call)?;
                        let Arguments { $($argument,)* } = arguments;
                        Some(Self::$variant { $($argument,)* reply: $crate::Reply::there(call) })
                    })+
                    unknown => {
                        $crate::wire::unknown_method(unknown, call);
                        None
                    }
                }
            }
        }

        impl $gateway for $crate::Gateway<$call> {
            $(
                async fn $method(&self $(, $argument: $type)*) -> Result<$ok, $error> {
                    self.call(|reply| $call::$variant { $($argument,)* reply }).await
                }
            )+
        }
    };
}
