//! Being reached. What an unknown caller can cost is bounded: see `acceptor`.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;

use super::{Address, Socket, dial::prepare};
use crate::{Identity, IdentityError};

/// Where a service is to be reached.
#[derive(Debug)]
pub enum ListenOn {
    /// TCP without encryption. Port 0 lets the system choose. Unless a token is demanded, every user of this machine, on the
    /// loopback too, may connect.
    Tcp {
        /// The address and port.
        address: SocketAddr,
        /// The user wants this although other machines reach the address.
        insecure: bool,
    },
    /// TLS 1.3. Port 0 lets the system choose.
    Tls {
        /// The address and port.
        address: SocketAddr,
        /// Key and certificate.
        identity: Identity,
    },
    /// A socket in the file system. Only processes of this user, and root, are let in.
    Unix(PathBuf),
}

/// Why a service is not reached there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Others could listen in, and connect.
    #[error("{0} is reached from other machines: use TLS, or say that you want it without")]
    Insecure(SocketAddr),
    /// TLS, but no token is demanded: everybody who reaches it could connect.
    #[error("{0} is reached from other machines: demand a token")]
    NoToken(SocketAddr),
    /// Another process listens there.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// What the system says.
    #[error("cannot listen on {place}: {error}")]
    Io {
        /// Where.
        place: String,
        /// Why not.
        error: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// A caller that has said nothing yet.
pub(crate) enum Caller {
    Tcp(TcpStream),
    Tls(TcpStream, TlsAcceptor),
    Unix(UnixStream),
}

impl Listener {
    /// Listens, and where it is reached now.
    pub(crate) async fn bind(on: ListenOn, has_token: bool) -> Result<(Self, Address), ListenError> {
        match on {
            ListenOn::Tcp { address, insecure } => {
                if !insecure && !address.ip().is_loopback() {
                    return Err(ListenError::Insecure(address));
                }
                let (listener, bound) = bind_tcp(address).await?;
                Ok((Self::Tcp(listener), Address::tcp(bound.ip().to_string(), bound.port())))
            }
            ListenOn::Tls { address, identity } => {
                if !has_token && !address.ip().is_loopback() {
                    return Err(ListenError::NoToken(address));
                }
                let acceptor = TlsAcceptor::from(Arc::new(identity.server_config()?));
                let (listener, bound) = bind_tcp(address).await?;
                let reached = Address::tls(bound.ip().to_string(), bound.port(), identity.fingerprint());
                Ok((Self::Tls(listener, acceptor), reached))
            }
            ListenOn::Unix(path) => {
                let listener = bind_unix(&path).await?;
                let _file = SocketFile(path.clone());
                Ok((Self::Unix { listener, _file }, Address::unix(path)))
            }
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Caller> {
        Ok(match self {
            Self::Tcp(listener) => Caller::Tcp(listener.accept().await?.0),
            Self::Tls(listener, acceptor) => Caller::Tls(listener.accept().await?.0, acceptor.clone()),
            Self::Unix { listener, .. } => Caller::Unix(listener.accept().await?.0),
        })
    }

    /// Whether who calls here has to show the token. On a unix socket the kernel says who calls.
    pub(crate) fn wants_token(&self) -> bool {
        !matches!(self, Self::Unix { .. })
    }
}

impl Caller {
    /// The caller's stream of bytes, encrypted if it is to be.
    pub(crate) async fn into_socket(self) -> io::Result<Box<dyn Socket>> {
        match self {
            Self::Tcp(socket) => {
                prepare(&socket)?;
                Ok(Box::new(socket))
            }
            Self::Tls(socket, acceptor) => {
                prepare(&socket)?;
                Ok(Box::new(acceptor.accept(socket).await?))
            }
            Self::Unix(socket) => {
                let (caller, us) = (socket.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
                if caller == us || caller == 0 {
                    Ok(Box::new(socket))
                } else {
                    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("user {caller} is not let in")))
                }
            }
        }
    }
}

async fn bind_tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let listener = TcpListener::bind(address).await.map_err(|error| refused(address.to_string(), error))?;
    let bound = listener.local_addr().map_err(|error| refused(address.to_string(), error))?;
    Ok((listener, bound))
}

/// Binds a socket in the file system; one that a dead process left there is replaced.
async fn bind_unix(path: &Path) -> Result<UnixListener, ListenError> {
    let is_left_over = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && UnixStream::connect(path).await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if is_left_over {
        let _ = fs::remove_file(path);
    }
    UnixListener::bind(path).map_err(|error| refused(path.display().to_string(), error))
}

fn refused(place: String, error: io::Error) -> ListenError {
    if error.kind() == io::ErrorKind::AddrInUse { ListenError::InUse(place) } else { ListenError::Io { place, error } }
}

/// Removed when nobody listens on it any longer.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
