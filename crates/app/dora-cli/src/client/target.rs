//! From what was said to a coordinator that can be dialled.

use std::{
    fmt,
    net::{IpAddr, UdpSocket},
};

use dora_rpc::Address;

use super::{
    arguments::{Choice, CoordinatorArgs, DEFAULT_PORT},
    contexts::{Contexts, LOCAL, Trust},
};
use crate::{error::CommandError, home::Home};

/// A coordinator, and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Where it is dialled; none if it is not known how it is to be trusted.
    address: Option<Address>,
    place: Place,
    /// Contexts of the same host, if this place is not known.
    neighbours: Vec<String>,
}

/// Where a coordinator is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this host; reached by its socket.
    Here {
        /// Tells the coordinators of one host apart.
        port: u16,
    },
    /// Somewhere on the network.
    There { host: String, port: u16 },
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here { port } => write!(formatter, "127.0.0.1:{port}"),
            Self::There { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::There { host, port } => write!(formatter, "{host}:{port}"),
        }
    }
}

impl Target {
    /// The coordinator that is meant.
    pub(crate) fn resolve(arguments: &CoordinatorArgs) -> Result<Self, CommandError> {
        let (home, choice) = (Home::find()?, arguments.choice()?);
        // Who says which one of this host is meant needs no other.
        let contexts = match choice {
            Choice::Here { .. } => Contexts::default(),
            _ => Contexts::load(&home)?,
        };
        Self::find(&home, &contexts, choice, arguments.insecure)
    }

    fn find(home: &Home, contexts: &Contexts, choice: Choice, insecure: bool) -> Result<Self, CommandError> {
        match choice {
            Choice::Any => match &contexts.current {
                Some(name) => Self::find(home, contexts, Choice::Context(name.clone()), insecure),
                None => Ok(Self::here(home, DEFAULT_PORT)),
            },
            Choice::Context(name) if name == LOCAL => Ok(Self::here(home, DEFAULT_PORT)),
            Choice::Context(name) => {
                let context = contexts.get(&name)?;
                let port = context.address.port.unwrap_or(DEFAULT_PORT);
                Ok(Self::there(
                    &context.address.host,
                    port,
                    insecure.then_some(&Trust::Insecure).or(Some(&context.trust)),
                ))
            }
            Choice::Here { port } => Ok(Self::here(home, port)),
            Choice::At { host, port } if insecure => Ok(Self::there(&host, port, Some(&Trust::Insecure))),
            Choice::At { host, port } => Ok(match contexts.at(&host, port) {
                Some((_, context)) => Self::there(&host, port, Some(&context.trust)),
                None if names_this_host(&host) && home.socket(port).exists() => Self::here(home, port),
                None if is_loopback(&host) => match contexts.of_loopback(port) {
                    Some(context) => Self::there(&context.address.host, port, Some(&context.trust)),
                    None => Self::here(home, port),
                },
                None => {
                    let known =
                        contexts.on_host(&host).map(|(name, context)| format!("`{name}` ({})", context.address));
                    Self { neighbours: known.collect(), ..Self::there(&host, port, None) }
                }
            }),
        }
    }

    /// The coordinator of this host with this port.
    pub(crate) fn here(home: &Home, port: u16) -> Self {
        let address = Some(Address::unix(home.socket(port)));
        Self { address, place: Place::Here { port }, neighbours: Vec::new() }
    }

    fn there(host: &str, port: u16, trust: Option<&Trust>) -> Self {
        let address = trust.map(|trust| trust.address(host, port));
        Self { address, place: Place::There { host: host.to_owned(), port }, neighbours: Vec::new() }
    }

    /// Where it is dialled; none if nothing is known about it but its place.
    pub(crate) fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// Contexts of the same host with other ports, for who mistook the port.
    pub(super) fn neighbours(&self) -> &[String] {
        &self.neighbours
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

/// Whether this is a name or an address of this host.
pub(super) fn names_this_host(host: &str) -> bool {
    let name = || rustix::system::uname().nodename().to_string_lossy().eq_ignore_ascii_case(host);
    is_loopback(host) || is_of_this_host(host) || name()
}

/// Whether it means this host on every host.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether an interface of this host has the address: only then can a socket be bound to it.
fn is_of_this_host(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| UdpSocket::bind((address, 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::contexts::Context;

    fn target(choice: Choice, insecure: bool, current: Option<&str>) -> Target {
        let home = Home::at("/nowhere/dora");
        let fingerprint = format!("sha256:{}", "0".repeat(64)).parse().expect("a fingerprint");
        let trust = Trust::Tls { fingerprint, token: "abc".to_owned().into() };
        let context = |address: &str| Context { address: address.parse().expect("a place"), trust: trust.clone() };
        let contexts = [("lab", context("192.0.2.1:7000")), ("tunnel", context("127.0.0.1:7001"))];
        let contexts = contexts.into_iter().map(|(name, context)| (name.to_owned(), context)).collect();
        let contexts = Contexts { current: current.map(str::to_owned), contexts };
        Target::find(&home, &contexts, choice, insecure).expect("a target")
    }

    fn dialled(choice: Choice, insecure: bool, current: Option<&str>) -> Option<String> {
        target(choice, insecure, current).address.map(|address| format!("{address:?}").chars().take(60).collect())
    }

    fn at(host: &str, port: u16) -> Choice {
        Choice::At { host: host.to_owned(), port }
    }

    #[test]
    fn nothing_said_means_the_current_context_or_this_host() {
        assert_eq!(target(Choice::Any, false, None).place, Place::Here { port: DEFAULT_PORT });
        assert_eq!(target(Choice::Any, false, Some("lab")).place.to_string(), "192.0.2.1:7000");
        let local = Choice::Context(LOCAL.to_owned());
        assert_eq!(target(local, false, Some("lab")).place, Place::Here { port: DEFAULT_PORT });
    }

    #[test]
    fn a_place_is_trusted_by_its_context_and_this_host_by_its_socket() {
        let way = |choice, insecure| dialled(choice, insecure, None).unwrap_or_default();
        assert!(way(at("192.0.2.1", 7000), false).contains("Tls"));
        assert!(way(at("192.0.2.1", 7000), true).contains("Tcp"));
        assert_eq!(dialled(at("192.0.2.1", 7002), false, None), None);
        assert!(way(at("localhost", 7000), false).contains("Unix"));
        assert!(way(at("::1", 7000), false).contains("Unix"));
        assert!(way(at("127.0.0.1", 7001), false).contains("Tls"));
        assert!(way(at("localhost", 7001), false).contains("Tls"), "the same place by another name");
        assert!(way(at("::1", 7001), false).contains("127.0.0.1"), "where the context says");
        assert!(way(at("127.0.0.1", 7000), true).contains("Tcp"));
        assert!(way(Choice::Here { port: 7001 }, false).contains("Unix"));
    }
}
