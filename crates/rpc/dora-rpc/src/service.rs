//! The service: starts endpoints, connects to those of others, stops. (Flink: `RpcService`.)

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::JoinSet,
};

use crate::{
    Address, Gateway, Introduction, LifeCycle, ListenError, ListenOn, PROTOCOL_VERSION, Publication, Request, Role,
    RpcEndpoint, Server, StartError, Token,
    acceptor::{Doorkeeper, Phase},
    connection::{Exported, Limits},
    endpoint::{Control, Start},
    gateway::{DEFAULT_DEADLINE, Mailbox},
    registry::Registry,
    transport::Listener,
};

/// What a service says about itself and allows.
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// Who we are.
    pub introduction: Introduction,
    /// What callers over TCP and TLS must show, if anything.
    pub token: Option<Token>,
    /// How long a call may take: 10 s.
    pub deadline: Duration,
    /// Bytes of a message: 10 MiB. More is sent as a stream.
    pub message_limit: usize,
    /// Calls that wait for one endpoint: 1024.
    pub mailbox: usize,
    /// Connections that others have opened and that were let in: 2048.
    pub max_connections: usize,
    /// How long reaching a service and exchanging greetings may take: 2 s.
    pub handshake_timeout: Duration,
    /// How long an endpoint's work is waited for when it stops: 10 s.
    pub grace: Duration,
    /// Calls within this process are turned into bytes as well, so that tests see what another process would.
    pub force_serialization: bool,
    /// Work that blocks is done by the thread that runs the service, and takes so long before and after: a simulation so has
    /// one order of things, and what happens meanwhile.
    pub blocks_in_place: Option<Duration>,
}

impl RpcConfig {
    /// The defaults, for a service of this name.
    pub fn new(role: Role, name: impl Into<String>) -> Self {
        let build = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            introduction: Introduction { role, name: name.into(), build, version: PROTOCOL_VERSION },
            token: None,
            deadline: DEFAULT_DEADLINE,
            message_limit: 10 << 20,
            mailbox: 1024,
            max_connections: 2048,
            handshake_timeout: Duration::from_secs(2),
            grace: Duration::from_secs(10),
            force_serialization: false,
            blocks_in_place: None,
        }
    }
}

impl From<&RpcConfig> for Limits {
    fn from(config: &RpcConfig) -> Self {
        let backlog = config.message_limit.saturating_mul(8).max(4 << 20);
        Self { message: config.message_limit, backlog, deadline: config.deadline }
    }
}

/// Starts endpoints, makes them reachable, and connects to those of others. To be cloned freely.
#[derive(Clone)]
pub struct RpcService {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Arc<RpcConfig>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) doorkeeper: Doorkeeper,
    phase: watch::Sender<Phase>,
    controls: Mutex<Vec<Control>>,
    doors: Mutex<JoinSet<()>>,
    failure: watch::Sender<Option<EndpointPanic>>,
    /// Held while the service stops: who asks again waits for the same end.
    stopping: tokio::sync::Mutex<()>,
}

/// An endpoint has panicked: its process is expected to end, with a code that says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("endpoint `{gateway}` has panicked: {message}")]
pub struct EndpointPanic {
    /// The gateway of the endpoint.
    pub gateway: &'static str,
    /// What the panic said.
    pub message: String,
}

impl RpcService {
    /// A service without endpoints, which nobody reaches from outside yet.
    pub fn new(config: RpcConfig) -> Self {
        let (config, registry) = (Arc::new(config), Arc::new(Registry::default()));
        let phase = watch::Sender::new(Phase::Open);
        let doorkeeper = Doorkeeper::new(config.clone(), registry.clone(), phase.subscribe());
        let (controls, doors, failure) = (Mutex::default(), Mutex::default(), watch::Sender::new(None));
        let stopping = tokio::sync::Mutex::default();
        Self { inner: Arc::new(Inner { config, registry, doorkeeper, phase, controls, doors, failure, stopping }) }
    }

    /// How many connections that others had opened have ended: what was done for them is over.
    pub fn departures(&self) -> watch::Receiver<u64> {
        self.inner.doorkeeper.departures()
    }

    /// Starts an endpoint under a name.
    ///
    /// # Errors
    /// [`StartError`] if the name is taken or the service stops.
    pub fn start_server<E: RpcEndpoint>(
        &self,
        publication: impl Into<Publication>,
        endpoint: E,
    ) -> Result<Server<E>, StartError> {
        self.start_server_with(publication, |_| endpoint)
    }

    /// Starts an endpoint that hands out its own gateway, which it is made with.
    ///
    /// # Errors
    /// [`StartError`] if the name is taken or the service stops. Then no endpoint is made.
    pub fn start_server_with<E: RpcEndpoint>(
        &self,
        publication: impl Into<Publication>,
        endpoint: impl FnOnce(Gateway<E::Call>) -> E,
    ) -> Result<Server<E>, StartError> {
        if *self.inner.phase.borrow() != Phase::Open {
            return Err(StartError::Stopping);
        }
        let config = &self.inner.config;
        let (mailbox, calls) = Mailbox::<E::Call>::new(config.mailbox);
        let publication = publication.into();
        let name = publication.name().to_owned();
        self.inner.registry.add(publication, Arc::new(mailbox.clone()))?;
        let gateway = Gateway::here(mailbox.clone(), config.deadline);
        let endpoint = endpoint(gateway.clone());
        let start = Start {
            endpoint,
            calls,
            capacity: config.mailbox,
            grace: config.grace,
            blocks_in_place: config.blocks_in_place,
        };
        let failure = self.inner.failure.clone();
        let (executor, control) = start.spawn(move |message| {
            failure.send_replace(Some(EndpointPanic { gateway: E::Call::GATEWAY, message }));
        });
        self.forget_when_ended(name, mailbox, control.clone());
        Ok(Server { gateway, executor, control })
    }

    /// Frees the name of an endpoint once it has ended, and keeps its control until then.
    fn forget_when_ended(&self, name: String, exported: impl Exported + 'static, control: Control) {
        let mut controls = self.inner.controls.lock().unwrap_or_else(PoisonError::into_inner);
        controls.retain(|control| control.life() < LifeCycle::Terminated);
        controls.push(control.clone());
        let registry = self.inner.registry.clone();
        tokio::spawn(async move {
            control.ended().await;
            registry.remove(&name, &exported);
        });
    }

    /// Makes the endpoints reachable for other processes; where they are reached now.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn listen(&self, on: ListenOn) -> Result<Address, ListenError> {
        let (listener, address) = Listener::bind(on, self.inner.config.token.is_some()).await?;
        self.spawn_door(self.inner.doorkeeper.clone().run(listener));
        Ok(address)
    }

    /// Serves a caller over a stream of bytes that is there already, as one that has come in by [`listen`](Self::listen) is
    /// served. No token is asked of it: whoever has the stream is trusted.
    pub fn accept(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        self.spawn_door(self.inner.doorkeeper.clone().run_stream(Box::new(stream)));
    }

    pub(crate) fn spawn_door(&self, door: impl Future<Output = ()> + Send + 'static) {
        let mut doors = self.inner.doors.lock().unwrap_or_else(PoisonError::into_inner);
        while doors.try_join_next().is_some() {}
        doors.spawn(door);
    }

    /// Completes when an endpoint panics. The process should then end with a code: state that may be broken is not served.
    pub async fn failed(&self) -> EndpointPanic {
        let mut failure = self.inner.failure.subscribe();
        match failure.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone()) {
            Some(failure) => failure,
            // The sender lives as long as the service, which is borrowed.
            None => std::future::pending().await,
        }
    }

    /// Stops in good order: nobody is let in any more; the endpoints end, the last one started first; what they have
    /// answered is written; connections are closed.
    pub async fn stop(&self) {
        let _stopping = self.inner.stopping.lock().await;
        self.inner.phase.send_modify(|phase| *phase = Phase::Closing.max(*phase));
        let controls = mem::take(&mut *self.inner.controls.lock().unwrap_or_else(PoisonError::into_inner));
        for control in controls.into_iter().rev() {
            control.stop().await;
        }
        self.inner.phase.send_replace(Phase::Closed);
        let mut doors = mem::take(&mut *self.inner.doors.lock().unwrap_or_else(PoisonError::into_inner));
        while doors.join_next().await.is_some() {}
    }
}

impl fmt::Debug for RpcService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RpcService")
            .field("introduction", &self.inner.config.introduction)
            .finish_non_exhaustive()
    }
}
