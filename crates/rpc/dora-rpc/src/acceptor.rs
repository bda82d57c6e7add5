//! Who comes in: greetings, and the life of the connections that others opened.
//!
//! An unknown caller costs a socket, a greeting of two kilobytes at most, and a place among those who have not greeted
//! yet, of which the oldest must go when there is no more room: a flood cannot keep out who greets at once.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

use crate::{
    RpcConfig, Token,
    connection::{Connection, Directory, Entrance, Limits},
    handshake::{Greeting, Refusal, negotiate},
    transport::{Listener, Socket},
};

/// Callers that have not greeted yet.
const MAX_STRANGERS: usize = 64;

/// How long a connection may take to write what is left when the service stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the acceptors of a service share.
#[derive(Clone)]
pub(crate) struct Doorkeeper {
    config: Arc<RpcConfig>,
    directory: Arc<dyn Directory>,
    places: Arc<Semaphore>,
    phase: watch::Receiver<Phase>,
    departures: watch::Sender<u64>,
}

/// How far the service has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// Nobody is let in any more.
    Closing,
    /// The endpoints have ended, connections are closed.
    Closed,
}

impl Doorkeeper {
    pub(crate) fn new(config: Arc<RpcConfig>, directory: Arc<dyn Directory>, phase: watch::Receiver<Phase>) -> Self {
        let places = Arc::new(Semaphore::new(config.max_connections));
        Self { config, directory, places, phase, departures: watch::Sender::default() }
    }

    /// How many connections of those that were let in have ended.
    pub(crate) fn departures(&self) -> watch::Receiver<u64> {
        self.departures.subscribe()
    }

    /// Lets callers in until the service stops, and returns when their connections have ended.
    pub(crate) async fn run(self, listener: Listener) {
        let (mut strangers, mut oldest) = (JoinSet::new(), VecDeque::<AbortHandle>::new());
        let mut sessions = JoinSet::new();
        let mut stopping = self.phase.clone();
        loop {
            let caller = tokio::select! {
                caller = listener.accept() => caller,
                Some(greeted) = strangers.join_next() => {
                    if let Ok(Some(session)) = greeted {
                        sessions.spawn(self.clone().hold(session));
                    }
                    continue;
                }
                Some(_) = sessions.join_next() => continue,
                _ = stopping.wait_for(|phase| *phase >= Phase::Closing) => break,
            };
            match caller {
                Ok(caller) => {
                    oldest.retain(|stranger| !stranger.is_finished());
                    if oldest.len() == MAX_STRANGERS
                        && let Some(stranger) = oldest.pop_front()
                    {
                        stranger.abort();
                    }
                    let (keeper, wants_token) = (self.clone(), listener.wants_token());
                    oldest.push_back(strangers.spawn(async move {
                        let greet = async { keeper.greet(caller.into_socket().await?, wants_token).await };
                        let greeted = timeout(keeper.config.handshake_timeout, greet).await;
                        greeted.unwrap_or_else(|late| Err(late.into())).inspect_err(stranger_left).ok().flatten()
                    }));
                }
                Err(error) => {
                    // Out of descriptors, mostly: nothing tells when there are some again.
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop((listener, strangers));
        while sessions.join_next().await.is_some() {}
    }

    /// Greets a caller over a stream that is there, and keeps the connection until it ends.
    pub(crate) async fn run_stream(self, socket: Box<dyn Socket>) {
        let greeted = timeout(self.config.handshake_timeout, self.greet(socket, false)).await;
        if let Ok(Ok(Some(session))) = greeted {
            self.hold(session).await;
        }
    }

    async fn hold(self, session: Session) {
        session.hold(self.phase).await;
        self.departures.send_modify(|count| *count += 1);
    }

    /// Exchanges greetings: a connection, or `None` for a caller who was told why not.
    async fn greet(&self, mut socket: Box<dyn Socket>, wants_token: bool) -> io::Result<Option<Session>> {
        let Greeting::Hello { version, role, name, build, token } = Greeting::read(&mut socket).await? else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a caller begins with Hello"));
        };
        let expected = self.config.token.as_ref().filter(|_| wants_token);
        let us = &self.config.introduction;
        match self.admit(version, &token, expected) {
            Ok((agreed, place)) => {
                let welcome = Greeting::Welcome { version: us.version, name: us.name.clone(), build: us.build.clone() };
                welcome.write(&mut socket).await?;
                tracing::debug!(%role, name, build, version = agreed, "a caller is let in");
                let entrance = Entrance { directory: self.directory.clone(), role };
                let connection = Connection::start(socket, Some(entrance), Limits::from(&*self.config));
                Ok(Some(Session { connection, _place: place }))
            }
            Err((reason, text)) => {
                tracing::debug!(%role, name, build, ?reason, "a caller is refused");
                Greeting::Reject { reason, version: us.version, text }.write(&mut socket).await?;
                Ok(None)
            }
        }
    }

    /// The version to speak and a place for the connection, or why there is none.
    fn admit(
        &self,
        version: u16,
        token: &str,
        expected: Option<&Token>,
    ) -> Result<(u16, OwnedSemaphorePermit), (Refusal, String)> {
        let ours = self.config.introduction.version;
        let agreed = negotiate(ours, version)
            .ok_or_else(|| (Refusal::Version, format!("this is version {ours}, not {version}")))?;
        if expected.is_some_and(|expected| !expected.matches(token)) {
            let text = if token.is_empty() { "a token is needed" } else { "the token is wrong" };
            return Err((Refusal::Token, text.to_owned()));
        }
        if *self.phase.borrow() != Phase::Open {
            return Err((Refusal::Stopping, "the service stops".to_owned()));
        }
        let full = |_| (Refusal::Full, format!("{} connections are open already", self.config.max_connections));
        Ok((agreed, self.places.clone().try_acquire_owned().map_err(full)?))
    }
}

/// A connection of somebody who was let in, and its place among them.
struct Session {
    connection: Connection,
    _place: OwnedSemaphorePermit,
}

impl Session {
    /// Keeps it until it ends, or until the service has stopped and what is left has been written.
    async fn hold(self, mut phase: watch::Receiver<Phase>) {
        let stopped = async {
            let _ = phase.wait_for(|phase| *phase >= Phase::Closed).await;
        };
        tokio::select! {
            _ = self.connection.closed() => {}
            () = stopped => {
                self.connection.goodbye();
                let _ = timeout(FAREWELL, self.connection.closed()).await;
                self.connection.abort();
            }
        }
    }
}

fn stranger_left(error: &io::Error) {
    tracing::debug!(%error, "a caller left before the greetings were exchanged");
}
