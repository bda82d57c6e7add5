//! Where a coordinator is reached: always on a socket of its directory, by its user; on interfaces if asked to.

use std::net::{IpAddr, SocketAddr};

use dora_rpc::{ListenError, ListenOn, Token};
use serde::{Deserialize, Serialize};

use super::credentials::Credentials;
use crate::{
    client::contexts::Trust,
    error::{CommandError, without_number},
    home::Home,
    port_holder,
};

/// From where a coordinator is to be reached besides its own host.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NetworkArgs {
    /// An address of this host on which other hosts reach the coordinator; several with a comma, or by naming it again.
    ///
    /// On this host its user always reaches it.
    #[arg(long, value_name = "IP", env = "DORA_COORDINATOR_INTERFACE", value_delimiter = ',')]
    interface: Vec<IpAddr>,
    /// Let other hosts connect without encryption and token.
    #[arg(long)]
    pub(crate) insecure: bool,
}

impl NetworkArgs {
    /// The entrance of a coordinator with this port.
    pub(crate) fn entrance(&self, port: u16) -> Entrance {
        Entrance { port, interfaces: self.interface.clone(), insecure: self.insecure }
    }

    /// Whether other hosts reach it at all.
    pub(crate) fn is_on_network(&self) -> bool {
        !self.interface.is_empty()
    }
}

/// Where a coordinator is reached. It tells others so in its `instance` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entrance {
    port: u16,
    interfaces: Vec<IpAddr>,
    insecure: bool,
}

/// What it takes to be reached there.
pub(super) struct Doors {
    pub(super) listen_on: Vec<ListenOn>,
    /// What callers from the network must show.
    pub(super) token: Option<Token>,
}

impl Entrance {
    /// What tells the coordinators of one host apart.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The command line of a coordinator that is reached so.
    pub(crate) fn to_arguments(&self) -> Vec<String> {
        let interfaces = self.interfaces.iter().map(|interface| format!("--interface={interface}"));
        let insecure = self.insecure.then(|| "--insecure".to_owned());
        let first = ["coordinator".to_owned(), "--quiet".to_owned(), format!("--port={}", self.port)];
        first.into_iter().chain(interfaces).chain(insecure).collect()
    }

    /// Whether all that somebody wants of another one is there.
    pub(crate) fn includes(&self, wanted: &Self) -> bool {
        let has = |interface| self.interfaces.contains(interface);
        wanted.interfaces.iter().all(has) && (wanted.interfaces.is_empty() || self.insecure == wanted.insecure)
    }

    /// The sockets of this entrance. Credentials are made if they are needed and not there yet.
    pub(super) fn doors(&self, home: &Home) -> Result<Doors, CommandError> {
        let directory = home.coordinator(self.port);
        let mut doors = Doors { listen_on: vec![ListenOn::Unix(home.socket(self.port))], token: None };
        for address in self.addresses() {
            doors.listen_on.push(match self.insecure {
                true => ListenOn::Tcp { address, insecure: true },
                false => {
                    let Credentials { identity, token } = Credentials::of(&directory)?;
                    doors.token = Some(token);
                    ListenOn::Tls { address, identity }
                }
            });
        }
        Ok(doors)
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.interfaces.iter().map(|interface| SocketAddr::new(*interface, self.port))
    }

    /// Where it is reached, for people.
    pub(super) fn lines(&self, home: &Home) -> Vec<String> {
        let here = format!("Listening on port {} of this host ({})", self.port, home.socket(self.port).display());
        let how = if self.insecure { "without encryption and token" } else { "TLS" };
        let there = self.addresses().map(|address| format!("Listening on {address} ({how})"));
        std::iter::once(here).chain(there).collect()
    }

    /// What makes this coordinator known to clients on other hosts: a command for each interface.
    pub(crate) fn invitations(&self, host: &str, trust: &Trust) -> Vec<String> {
        let trust = match trust {
            Trust::Insecure => "--insecure".to_owned(),
            Trust::Tls { fingerprint, token } => format!("--fingerprint {fingerprint} --token {}", token.reveal()),
        };
        let line = |(number, address): (usize, SocketAddr)| {
            // Whoever listens everywhere is found by its name.
            let place = match address.ip().is_unspecified() {
                true => format!("{host}:{}", self.port),
                false => address.to_string(),
            };
            let name = if number == 1 { host.to_owned() } else { format!("{host}-{number}") };
            format!("dora context add {name} --coordinator-addr {place} {trust}")
        };
        (1..).zip(self.addresses()).map(line).collect()
    }

    /// Why it cannot listen, and what to do about it.
    pub(super) fn explain(&self, error: ListenError) -> CommandError {
        let what = without_number(&error.to_string());
        match error {
            ListenError::InUse(_) => {
                let holder = port_holder::of(self.port).map(|holder| format!(": {holder}")).unwrap_or_default();
                CommandError::failed(format!("{what}{holder}"))
                    .with_hint("`--port` gives the coordinator another port, or end the other process")
            }
            ListenError::Io { error, .. } if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
                CommandError::failed(what)
                    .with_hint("`--interface` names an address of this host: `ip address` lists them")
            }
            ListenError::Io { error, .. } if error.kind() == std::io::ErrorKind::InvalidInput => {
                CommandError::failed(what)
                    .with_hint("the path of a socket has at most 107 bytes: set DORA_HOME to a shorter one")
            }
            _ => CommandError::failed(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrance(interfaces: &[&str], insecure: bool) -> Entrance {
        let interface = interfaces.iter().map(|text| text.parse().expect("an address")).collect();
        NetworkArgs { interface, insecure }.entrance(7000)
    }

    #[test]
    fn more_than_is_wanted_is_enough() {
        let both = entrance(&["10.0.0.1", "::1"], false);
        assert!(both.includes(&entrance(&[], true)) && both.includes(&entrance(&["::1"], false)));
        assert!(!both.includes(&entrance(&["10.0.0.2"], false)) && !both.includes(&entrance(&["::1"], true)));
    }

    #[test]
    fn clients_are_invited_to_each_interface() {
        let lines = entrance(&["10.0.0.1", "::"], true).invitations("robot", &Trust::Insecure);
        let expected = [
            "dora context add robot --coordinator-addr 10.0.0.1:7000 --insecure",
            "dora context add robot-2 --coordinator-addr robot:7000 --insecure",
        ];
        assert_eq!(lines, expected);
    }
}
