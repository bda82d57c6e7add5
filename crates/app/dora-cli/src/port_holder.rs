//! Which process has a port, for those who find it taken. The kernel tells: a table of sockets, and the descriptors of
//! processes, of which those of other users are hidden.

use std::{fmt, fs, path::Path};

use crate::processes::Process;

/// Who listens on a port.
#[derive(Debug)]
pub(crate) struct Holder {
    /// The process; none if it is hidden, because it is that of another user.
    pub(crate) process: Option<Process>,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(process) => process.fmt(formatter),
            None => formatter.write_str("a process of another user"),
        }
    }
}

/// Who listens on a port of this host, on whatever address; none if nobody does.
pub(crate) fn of(port: u16) -> Option<Holder> {
    in_proc(Path::new("/proc"), port)
}

fn in_proc(proc: &Path, port: u16) -> Option<Holder> {
    let tables = ["net/tcp", "net/tcp6"].map(|table| fs::read_to_string(proc.join(table)).unwrap_or_default());
    let sockets: Vec<String> =
        tables.iter().flat_map(|table| listening(table, port)).map(|inode| format!("socket:[{inode}]")).collect();
    let holds = |process: &Process| process.descriptors().any(|it| it.to_str().is_some_and(|it| is_in(&sockets, it)));
    (!sockets.is_empty()).then(|| Holder { process: Process::all(proc).find(holds) })
}

fn is_in(names: &[String], name: &str) -> bool {
    names.iter().any(|it| it == name)
}

/// The numbers of the sockets that listen on a port, in a table of the kernel.
fn listening(table: &str, port: u16) -> impl Iterator<Item = String> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(local_port, 16) == Ok(port) && *fields.get(3)? == LISTEN;
        is_it.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whoever_listens_is_found() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // Not every machine has IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().expect("bound").port();
            let found = of(port).expect("we listen").to_string();
            assert!(found.starts_with(&format!("process {} (", std::process::id())), "{found}");
            drop(listener);
            assert!(of(port).is_none());
        }
    }

    #[test]
    fn connections_are_not_listeners() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:177D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n   \
                     1: 0100007F:177D 0100007F:1234 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1\n";
        assert_eq!(listening(table, 6013).collect::<Vec<_>>(), ["4711"]);
        assert_eq!(listening(table, 6014).count(), 0);
    }

    proptest! {
        #[test]
        fn no_table_panics(table in "(.{0,80}\n){0,4}", port: u16) {
            let _ = listening(&table, port).count();
        }
    }
}
