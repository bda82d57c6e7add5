//! Reaching the endpoints of a service: here, or by a greeting over a socket.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::{
    Address, FencingToken, Gateway, Refusal, Request, Retryable, RpcError, RpcService, Token,
    connection::{Connection, Limits, Wish},
    handshake::{Greeting, negotiate},
    identity::WrongCertificate,
    transport::{Place, Socket, dial},
};

/// Why a service or an endpoint was not reached.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there, or not in time.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// Somebody is there, but it is not dora.
    #[error("{address} does not speak dora's protocol: {reason}")]
    Foreign {
        /// Where.
        address: String,
        /// What was wrong.
        reason: String,
    },
    /// Somebody is there, with another certificate than the one that is known.
    #[error("{address} is not trusted: {reason}")]
    Untrusted {
        /// Where.
        address: String,
        /// Which certificate was shown, and which is known.
        reason: String,
    },
    /// The versions are too far apart.
    #[error("{address} speaks version {theirs}, this is version {ours}; they must not differ by more than 1")]
    Version {
        /// Where.
        address: String,
        /// Our protocol version.
        ours: u16,
        /// Its protocol version.
        theirs: u16,
    },
    /// It does not talk with us.
    #[error("{address} refuses the connection: {reason}")]
    Refused {
        /// Where.
        address: String,
        /// Why, for programs.
        refusal: Refusal,
        /// Why, as it says.
        reason: String,
    },
    /// The service was reached, the endpoint was not.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl Retryable for ConnectError {
    fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Foreign { .. } | Self::Untrusted { .. } | Self::Version { .. } => false,
            Self::Refused { refusal, .. } => matches!(refusal, Refusal::Full | Refusal::Stopping),
            Self::Rpc(error) => error.retryable(),
        }
    }
}

impl RpcService {
    /// Connects to the endpoint of this name at a service.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect<R: Request>(&self, address: &Address, endpoint: &str) -> Result<Gateway<R>, ConnectError> {
        self.open(address, endpoint, None).await
    }

    /// Connects to the endpoint of this name, if it belongs to the leadership that `token` names.
    ///
    /// # Errors
    /// [`ConnectError`]; [`RpcError::Fenced`] if somebody else leads.
    pub async fn connect_fenced<R: Request>(
        &self,
        address: &Address,
        endpoint: &str,
        token: FencingToken,
    ) -> Result<Gateway<R>, ConnectError> {
        self.open(address, endpoint, Some(token)).await
    }

    async fn open<R: Request>(
        &self,
        address: &Address,
        endpoint: &str,
        token: Option<FencingToken>,
    ) -> Result<Gateway<R>, ConnectError> {
        let deadline = self.inner.config.deadline;
        let wish = Wish { name: endpoint.to_owned(), gateway: R::GATEWAY.to_owned(), token };
        if matches!(address.place, Place::Here) && !self.inner.config.force_serialization {
            return Ok(Gateway::here(self.inner.registry.mailbox(&wish)?, deadline));
        }
        let connection = self.dial(address).await?;
        self.open_at(connection, &wish).await
    }

    /// Connects to the endpoint of this name over a stream of bytes that is there already; at the other end of it is
    /// [`accept`](Self::accept).
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect_over<R: Request>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        endpoint: &str,
    ) -> Result<Gateway<R>, ConnectError> {
        let wish = Wish { name: endpoint.to_owned(), gateway: R::GATEWAY.to_owned(), token: None };
        let (place, limit) = ("the other end", self.inner.config.handshake_timeout);
        let greeted = timeout(limit, self.greet(place, None, Box::new(stream))).await;
        self.open_at(greeted.unwrap_or_else(|_| Err(late(place, limit)))?, &wish).await
    }

    async fn open_at<R: Request>(&self, connection: Connection, wish: &Wish) -> Result<Gateway<R>, ConnectError> {
        let deadline = self.inner.config.deadline;
        let open = timeout(deadline, connection.open(wish)).await;
        let number =
            open.unwrap_or_else(|_| Err(RpcError::Deadline { method: "open".to_owned(), within: deadline }))?;
        Ok(Gateway::there(connection, number, deadline))
    }

    async fn dial(&self, address: &Address) -> Result<Connection, ConnectError> {
        let unreachable = |reason: String| ConnectError::Unreachable { address: address.to_string(), reason };
        let limit = self.inner.config.handshake_timeout;
        let reach = async {
            let socket = match &address.place {
                Place::Here => self.pipe(),
                place => dial(place).await.map_err(|error| match WrongCertificate::in_error(&error) {
                    Some(wrong) => ConnectError::Untrusted { address: address.to_string(), reason: wrong.to_string() },
                    None => unreachable(error.to_string()),
                })?,
            };
            self.greet(&address.to_string(), address.token.as_ref(), socket).await
        };
        timeout(limit, reach).await.unwrap_or_else(|_| Err(late(&address.to_string(), limit)))
    }

    /// A pipe to this service itself.
    fn pipe(&self) -> Box<dyn Socket> {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        self.spawn_door(self.inner.doorkeeper.clone().run_stream(Box::new(theirs)));
        Box::new(ours)
    }

    async fn greet(
        &self,
        address: &str,
        token: Option<&Token>,
        mut socket: Box<dyn Socket>,
    ) -> Result<Connection, ConnectError> {
        let us = &self.inner.config.introduction;
        let place = || address.to_owned();
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => ConnectError::Foreign { address: place(), reason: error.to_string() },
            _ => ConnectError::Unreachable { address: place(), reason: error.to_string() },
        };
        let hello = Greeting::Hello {
            version: us.version,
            role: us.role,
            name: us.name.clone(),
            build: us.build.clone(),
            token: token.map_or_else(String::new, |token| token.reveal().to_owned()),
        };
        hello.write(&mut socket).await.map_err(broken)?;
        let too_far = |theirs| ConnectError::Version { address: place(), ours: us.version, theirs };
        match Greeting::read(&mut socket).await.map_err(broken)? {
            Greeting::Welcome { version, name, build } => {
                let agreed = negotiate(us.version, version).ok_or_else(|| too_far(version))?;
                tracing::debug!(%address, name, build, version = agreed, "connected");
                Ok(Connection::start(socket, None, Limits::from(&*self.inner.config)))
            }
            Greeting::Reject { reason: Refusal::Version, version, .. } => Err(too_far(version)),
            Greeting::Reject { reason, text, .. } => {
                Err(ConnectError::Refused { address: place(), refusal: reason, reason: text })
            }
            Greeting::Hello { .. } => {
                let reason = "it greets like a caller".to_owned();
                Err(ConnectError::Foreign { address: place(), reason })
            }
        }
    }
}

fn late(address: &str, limit: Duration) -> ConnectError {
    ConnectError::Unreachable { address: address.to_owned(), reason: format!("no answer within {limit:?}") }
}
