//! Why the coordinator of this host does not answer: it hangs, its directory was removed, the port is that of another one,
//! or none runs. What to do is different each time.

use std::path::Path;

use crate::{
    background::{Running, strays},
    client::{DEFAULT_PORT, Place},
    error::{CommandError, without_number},
    home::{Home, VARIABLE},
    port_holder::{self, Holder},
};

/// What is wrong with the coordinator of this port; `reason` is what happened when it was dialled.
pub(super) fn explain(port: u16, reason: &str) -> CommandError {
    match Home::find() {
        Ok(home) => in_home(&home, port, reason),
        Err(error) => error,
    }
}

fn in_home(home: &Home, port: u16, reason: &str) -> CommandError {
    let directory = home.coordinator(port);
    match Running::in_directory(&directory) {
        Ok(Some(running)) => return hangs(port, &running, &directory, reason),
        Ok(None) => {}
        Err(error) => return error,
    }
    if let Some(stray) = strays::below(&directory).first() {
        return cut_off(port, stray, &directory);
    }
    match port_holder::of(port) {
        Some(holder) => of_somebody_else(home, port, &holder),
        None => match Running::all_in(&home.daemons(&Place::Here { port })) {
            Ok(daemons) => not_running(port, daemons.first()),
            Err(error) => error,
        },
    }
}

/// It runs and does not answer.
fn hangs(port: u16, running: &Running, directory: &Path, reason: &str) -> CommandError {
    let pid = running.pid();
    let what = format!(
        "the coordinator of this host with port {port} (process {pid}) does not answer: {}",
        without_number(reason)
    );
    CommandError::failed(what).with_hint(match running.process().is_stopped() {
        true => format!("the process is stopped: `kill -CONT {pid}` lets it go on"),
        false => format!(
            "it is just starting or ending, or stuck: look at {}; `kill -9 {pid}` and `dora up` start it anew, and what \
             runs goes on meanwhile",
            directory.join("log").display()
        ),
    })
}

/// It runs, and the socket by which it is reached is gone.
fn cut_off(port: u16, stray: &Running, directory: &Path) -> CommandError {
    CommandError::failed(format!(
        "the coordinator of this host with port {port} (process {}) cannot be reached: its directory {} was removed",
        stray.pid(),
        directory.display()
    ))
    .with_hint(format!("`dora down --force{}` ends what is left of it", for_port("--coordinator-port", port)))
}

/// Somebody listens on the port who is none of this user's home.
fn of_somebody_else(home: &Home, port: u16, holder: &Holder) -> CommandError {
    let own = home.path().display();
    let error = CommandError::failed(format!(
        "no coordinator runs on this host with port {port} in {VARIABLE} {own}; {holder} listens on that port"
    ));
    let coordinator = holder.process.as_ref().filter(|process| process.is_dora(&["coordinator"]));
    let of_its_user = coordinator.and_then(|process| process.variable(VARIABLE));
    let of_its_user = of_its_user.map(|home| format!("its own user reaches it with {VARIABLE}={home}, "));
    error.with_hint(match coordinator.is_some() || holder.process.is_none() {
        true => format!(
            "if that is the coordinator that is meant: {}others by the `dora context add` line, with fingerprint and token, \
             that `dora up --interface` printed where it was started, or by `--insecure`, if it was started so",
            of_its_user.unwrap_or_default()
        ),
        false => format!("`dora up{}` starts one, which needs the port only for other hosts", for_port("--port", port)),
    })
}

/// Nobody decides; a daemon of this host may run on without.
fn not_running(port: u16, daemon: Option<&Running>) -> CommandError {
    let up = for_port("--port", port);
    if let Some(daemon) = daemon {
        let pid = daemon.pid();
        let what = format!("no coordinator runs on this host with port {port}, but a daemon does (process {pid})");
        return CommandError::failed(what).with_hint(format!(
            "`dora up{up}` starts one, which takes up the dataflows that the daemon goes on running"
        ));
    }
    CommandError::failed(format!("no coordinator runs on this host with port {port}")).with_hint(format!(
        "`dora up{up}` starts one; `--coordinator-addr HOST` or `--context NAME` name one elsewhere"
    ))
}

/// The flag that names a port, where it must be named.
pub(crate) fn for_port(flag: &str, port: u16) -> String {
    if port == DEFAULT_PORT { String::new() } else { format!(" {flag} {port}") }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn told(error: &CommandError) -> String {
        format!("{error}; {}", error.hint().unwrap_or_default())
    }

    #[test]
    fn a_port_of_somebody_else_is_told_with_who_has_it() {
        let place = tempfile::tempdir().expect("a directory");
        let home = Home::at(place.path());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let taken = told(&in_home(&home, port, "refused"));
        assert!(taken.contains(&format!("process {} (", std::process::id())), "{taken}");
        drop(listener);
        let free = told(&in_home(&home, port, "refused"));
        assert!(
            free.starts_with(&format!("no coordinator runs on this host with port {port}; `dora up --port")),
            "{free}"
        );
    }
}
