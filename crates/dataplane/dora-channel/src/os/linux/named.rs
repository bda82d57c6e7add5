//! Packet sockets that are found by name, in the abstract namespace: no file, no port, nothing left after a crash.
//!
//! Every process of the same network namespace sees the names and may connect, whatever its user: both ends must ask
//! for the [`Peer`].
#![allow(unsafe_code)]

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::Duration,
};

use rustix::{
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect as connect_socket,
        listen as listen_on, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
    process::Pid,
};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// In `/proc/net/unix`: flag of a socket that listens, and the number of `SOCK_SEQPACKET`.
const LISTENS: &str = "00010000";
const SEQPACKET: &str = "0005";

fn new(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags | SocketFlags::CLOEXEC, None)?)
}

/// Takes a name, until the descriptor is closed. Accepting never waits.
pub fn listen(name: &str) -> io::Result<OwnedFd> {
    let socket = new(SocketFlags::NONBLOCK)?;
    bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    listen_on(&socket, BACKLOG)?;
    Ok(socket)
}

/// The next connection to a name. Without one it fails with [`io::ErrorKind::WouldBlock`].
pub fn accept(listener: impl AsFd) -> io::Result<OwnedFd> {
    Ok(accept_with(listener, SocketFlags::CLOEXEC)?)
}

/// Connects to a name. Until [`set_patience`] neither this nor what is sent or received on it waits longer than
/// `patience` for the other end.
pub fn connect(name: &str, patience: Duration) -> io::Result<OwnedFd> {
    let socket = new(SocketFlags::empty())?;
    set_patience(&socket, Some(patience))?;
    connect_socket(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    Ok(socket)
}

/// From now on neither sending nor receiving waits longer than this for the other end; `None`: for ever. What the system
/// cannot measure counts as its shortest wait.
pub fn set_patience(socket: impl AsFd, patience: Option<Duration>) -> io::Result<()> {
    let patience = patience.map(|patience| patience.max(Duration::from_millis(1)));
    set_socket_timeout(&socket, Timeout::Send, patience)?;
    Ok(set_socket_timeout(&socket, Timeout::Recv, patience)?)
}

/// The names, of those that begin so, on which somebody listens now.
pub fn names(prefix: &str) -> io::Result<Vec<String>> {
    Ok(names_in(&fs::read_to_string("/proc/net/unix")?, prefix))
}

fn names_in(table: &str, prefix: &str) -> Vec<String> {
    let name = |line: &str| {
        // Num RefCount Protocol Flags Type St Inode Path, where abstract names begin with `@`.
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let name = fields.get(7)?.strip_prefix('@')?;
        let listens = fields[3] == LISTENS && fields[4] == SEQPACKET;
        (listens && name.starts_with(prefix)).then(|| name.to_owned())
    };
    table.lines().filter_map(name).collect()
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its user.
    pub uid: u32,
    /// The process that connected, or that listens; `None` if it lives where this one sees no process ids.
    pub pid: Option<Pid>,
}

impl Peer {
    /// Asks the system. The answer is as old as the connection: the process may be gone.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        // rustix has a call for this, whose type has no place for a process that cannot be seen.
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut len = size_of::<libc::ucred>() as libc::socklen_t;
        let socket = socket.as_fd().as_raw_fd();
        // SAFETY: the descriptor is open, and both pointers are to locals that live during the call.
        let result = unsafe {
            libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut peer).cast(), &raw mut len)
        };
        match result {
            0 => Ok(Peer { uid: peer.uid, pid: Pid::from_raw(peer.pid.max(0)) }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Whether it belongs to the user of this process.
    pub fn is_same_user(&self) -> bool {
        self.uid == own_uid()
    }
}

/// The user of this process.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::packet::{self, Blocking};

    #[test]
    fn a_name_is_found_connected_to_and_given_back() {
        let prefix = format!("dora-test/{}/found/", std::process::id());
        let name = format!("{prefix}a");
        assert!(names(&prefix).unwrap().is_empty());
        let listener = listen(&name).unwrap();
        assert_eq!(names(&prefix).unwrap(), std::slice::from_ref(&name));
        assert_eq!(accept(&listener).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let node = connect(&name, Duration::from_secs(60)).unwrap();
        let keeper = accept(&listener).unwrap();
        assert_eq!(names(&prefix).unwrap().len(), 1, "the accepted one has the same name and does not listen");
        for end in [&node, &keeper] {
            let own = Peer { uid: own_uid(), pid: Some(rustix::process::getpid()) };
            assert_eq!(Peer::of(end).unwrap(), own);
        }
        packet::send(node.as_fd(), b"hello", &[], Blocking::Yes).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(packet::receive(keeper.as_fd(), &mut buffer, Blocking::Yes).unwrap().0, 5);
        drop(listener);
        assert!(names(&prefix).unwrap().is_empty());
        let error = connect(&name, Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        let name = format!("dora-test/{}/silent", std::process::id());
        let listener = listen(&name).unwrap();
        let node = connect(&name, Duration::from_millis(1)).unwrap();
        let error = packet::receive(node.as_fd(), &mut [0; 16], Blocking::Yes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        set_patience(&node, None).unwrap();
        drop(listener);
        assert!(packet::receive(node.as_fd(), &mut [0; 16], Blocking::Yes).is_ok_and(|(len, _)| len == 0));
    }

    #[test]
    fn a_table_of_sockets_is_read() {
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0005 01  1142 @dora/0/a
0000000000000000: 00000003 00000000 00000000 0005 03  1143 @dora/0/a
0000000000000000: 00000002 00000000 00010000 0001 01  1144 @dora/0/stream
0000000000000000: 00000002 00000000 00010000 0005 01  1145 /run/dora/0/file
0000000000000000: 00000002 00000000 00010000 0005 01  1146
0000000000000000: 00000002 00000000 00010000 0005 01  1147 @dora/10/b
";
        assert_eq!(names_in(table, "dora/0/"), ["dora/0/a"]);
    }
}
