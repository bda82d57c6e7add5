//! Reaching a service.

use std::{io, net::IpAddr, sync::Arc};

use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{Place, Socket};

/// A stream of bytes to a service in another process.
pub(crate) async fn dial(place: &Place) -> io::Result<Box<dyn Socket>> {
    match place {
        Place::Here => Err(io::Error::other("this process is reached without a socket")),
        Place::Tcp { host, port } => Ok(Box::new(tcp(host, *port).await?)),
        Place::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        Place::Tls { host, port, fingerprint } => {
            let config = fingerprint.client_config().map_err(io::Error::other)?;
            let name = match host.parse::<IpAddr>() {
                Ok(address) => ServerName::IpAddress(address.into()),
                Err(_) => ServerName::try_from(host.clone()).map_err(io::Error::other)?,
            };
            let socket = tcp(host, *port).await?;
            Ok(Box::new(TlsConnector::from(Arc::new(config)).connect(name, socket).await?))
        }
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((host, port)).await?;
    prepare(&socket)?;
    Ok(socket)
}

/// Small messages leave at once, and the kernel notices, without our waking up, when a machine is gone without a word.
pub(super) fn prepare(socket: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, std::time::Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(socket, std::time::Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    sockopt::set_tcp_user_timeout(socket, 60_000)?;
    Ok(())
}
