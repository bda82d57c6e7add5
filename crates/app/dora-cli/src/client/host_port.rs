//! A place on a network as people write it: `192.168.1.100`, `robot.local:6013`, `[fe80::1]:6013`.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use serde::{Deserialize, Serialize};

/// A host, by name or address, and a port if one was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct HostPort {
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

/// A text that names no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an address or a host name, with or without a port: `192.168.1.100`, `robot.local:6013`, `[::1]:6013`"
)]
pub(crate) struct NoHostPort;

impl FromStr for HostPort {
    type Err = NoHostPort;

    fn from_str(text: &str) -> Result<Self, NoHostPort> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(NoHostPort)?;
                host.parse::<Ipv6Addr>().map_err(|_| NoHostPort)?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(NoHostPort)?) })
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let is_plain = |char: char| char.is_alphanumeric() || matches!(char, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(is_plain) {
            return Err(NoHostPort);
        }
        Ok(Self { host: host.to_owned(), port: port.map(parse_port).transpose()? })
    }
}

fn parse_port(text: &str) -> Result<u16, NoHostPort> {
    // Not `+80`.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0).ok_or(NoHostPort)
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (host, Some(port)) if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            (host, Some(port)) => write!(formatter, "{host}:{port}"),
            (host, None) => formatter.write_str(host),
        }
    }
}

impl TryFrom<String> for HostPort {
    type Error = NoHostPort;

    fn try_from(text: String) -> Result<Self, NoHostPort> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(place: HostPort) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_with_and_without_ports() {
        let good = [
            ("192.168.1.100", "192.168.1.100", None),
            ("192.168.1.100:8080", "192.168.1.100", Some(8080)),
            ("robot.local:1", "robot.local", Some(1)),
            ("robot", "robot", None),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[fe80::2]:6013", "fe80::2", Some(6013)),
        ];
        for (text, host, port) in good {
            assert_eq!(text.parse(), Ok(HostPort { host: host.to_owned(), port }), "{text}");
        }
        for bad in
            ["", ":1", "a:", "a:0", "a:65536", "a:+1", "[::1", "[::1]1", "[a]:1", "ws://a", "a b", "1:2:3", "a/b", "[]"]
        {
            assert_eq!(bad.parse::<HostPort>(), Err(NoHostPort), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(host in "[a-z][a-z0-9.-]{0,20}", port in proptest::option::of(1_u16..)) {
            let place = HostPort { host, port };
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }

        #[test]
        fn addresses_are_read_again(address: Ipv6Addr, port in 1_u16..) {
            let place = HostPort { host: address.to_string(), port: Some(port) };
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }

        #[test]
        fn no_text_panics(text in ".{0,30}") {
            let _ = text.parse::<HostPort>();
        }
    }
}
