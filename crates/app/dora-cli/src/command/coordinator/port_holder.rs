//! Which process has a port, for those who find it taken. The kernel tells: a table of sockets, and the descriptors of
//! processes, of which those of other users are hidden.

use std::{fs, path::Path};

/// The process that listens on a port: `process 123 (python3 -m http.server 6013)`.
pub(super) fn of(port: u16) -> Option<String> {
    in_proc(Path::new("/proc"), port)
}

fn in_proc(proc: &Path, port: u16) -> Option<String> {
    let tables = ["net/tcp", "net/tcp6"].map(|table| fs::read_to_string(proc.join(table)).unwrap_or_default());
    let inodes: Vec<String> = tables.iter().flat_map(|table| listening(table, port)).collect();
    let processes = fs::read_dir(proc).ok()?.flatten();
    let numbered = processes.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let mut holders = numbered.filter(|(_, directory)| inodes.iter().any(|inode| holds(directory, inode)));
    holders.next().map(|(pid, directory)| {
        let line = fs::read(directory.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        format!("process {pid} ({})", line.trim())
    })
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

/// Whether a process has this socket open.
fn holds(directory: &Path, inode: &str) -> bool {
    let name = format!("socket:[{inode}]");
    let descriptors = fs::read_dir(directory.join("fd")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|link| link.as_os_str() == name.as_str())
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
            let found = of(port).unwrap_or_default();
            assert!(found.starts_with(&format!("process {} (", std::process::id())), "{found}");
            drop(listener);
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
