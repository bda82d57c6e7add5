//! Where services are reached and how bytes get there. Nothing here knows what the bytes mean.

mod dial;
mod listen;

use std::{fmt, path::PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use dial::dial;
pub(crate) use listen::Listener;
pub use listen::{ListenError, ListenOn};

use crate::{Fingerprint, Token};

/// A stream of bytes to another process.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// Where a service is reached.
#[derive(Clone, Debug)]
pub struct Address {
    pub(crate) place: Place,
    pub(crate) token: Option<Token>,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Here,
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, fingerprint: Fingerprint },
    Unix(PathBuf),
}

impl Address {
    /// This service itself: calls go to the mailbox, without a connection.
    pub fn here() -> Self {
        Self { place: Place::Here, token: None }
    }

    /// TCP without encryption: for the loopback, or where the user insists.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self { place: Place::Tcp { host: host.into(), port }, token: None }
    }

    /// TLS 1.3 to the server with this fingerprint.
    pub fn tls(host: impl Into<String>, port: u16, fingerprint: Fingerprint) -> Self {
        Self { place: Place::Tls { host: host.into(), port, fingerprint }, token: None }
    }

    /// A socket in the file system, for processes of the same user.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::Unix(path.into()), token: None }
    }

    /// The same place, with a token to be shown there.
    pub fn with_token(self, token: Token) -> Self {
        Self { token: Some(token), ..self }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Here => formatter.write_str("this process"),
            Place::Tcp { host, port } | Place::Tls { host, port, .. } if host.contains(':') => {
                write!(formatter, "[{host}]:{port}")
            }
            Place::Tcp { host, port } | Place::Tls { host, port, .. } => write!(formatter, "{host}:{port}"),
            Place::Unix(path) => write!(formatter, "{}", path.display()),
        }
    }
}
