//! The coordinators that this user knows by name: where they are, how they are known again, what opens them.

use std::collections::BTreeMap;

use dora_rpc::{Address, Fingerprint, Token};
use serde::{Deserialize, Serialize};

use super::{host_port::HostPort, target::is_loopback};
use crate::{
    error::CommandError,
    home::{self, Home, VARIABLE},
};

/// The name of this host in lists of contexts.
pub(crate) const LOCAL: &str = "local";

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contexts {
    /// The one that is used when nothing else is said; this host if none.
    #[serde(default)]
    pub(crate) current: Option<String>,
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// A coordinator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Context {
    /// Where it is. The port is always there.
    pub(crate) address: HostPort,
    /// How it is reached.
    #[serde(flatten)]
    pub(crate) trust: Trust,
}

/// How a coordinator on the network is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "trust", rename_all = "snake_case")]
pub(crate) enum Trust {
    /// Encrypted: the coordinator shows this certificate, we show the token.
    Tls { fingerprint: Fingerprint, token: Secret },
    /// Neither encrypted nor protected: the user wants it so.
    Insecure,
}

/// A token as it is kept. It is printed only by [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Trust {
    /// Where a coordinator at this place is dialled.
    pub(crate) fn address(&self, host: &str, port: u16) -> Address {
        match self {
            Self::Tls { fingerprint, token } => {
                Address::tls(host, port, *fingerprint).with_token(Token::from(token.0.clone()))
            }
            Self::Insecure => Address::tcp(host, port),
        }
    }
}

impl Contexts {
    /// What is in the file; none if there is no file.
    pub(crate) fn load(home: &Home) -> Result<Self, CommandError> {
        let path = home.contexts();
        let read = home::read(&path).map_err(|error| error.with_hint(format!("{VARIABLE} names a directory of yours")));
        let Some(text) = read? else { return Ok(Self::default()) };
        serde_json::from_str(&text).map_err(|error| {
            CommandError::failed(format!("`{}` cannot be understood: {error}", path.display()))
                .with_hint("mend it, or remove it and add the contexts again")
        })
    }

    /// Writes the file.
    pub(crate) fn save(&self, home: &Home) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| CommandError::failed(error.to_string()))?;
        home::write_secret(&home.contexts(), (text + "\n").as_bytes())
    }

    /// The context of this name, or what to do about that there is none.
    pub(crate) fn get(&self, name: &str) -> Result<&Context, CommandError> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<String> = self.contexts.keys().map(|name| format!("`{name}`")).collect();
            let hint = match known.is_empty() {
                true => "`dora context add` makes one; there is none yet".to_owned(),
                false => format!("there are {}", known.join(", ")),
            };
            CommandError::failed(format!("there is no context `{name}`")).with_hint(hint)
        })
    }

    /// The context for a coordinator at this place.
    pub(crate) fn at(&self, host: &str, port: u16) -> Option<(&str, &Context)> {
        let found = self
            .contexts
            .iter()
            .find(|(_, context)| context.address.host.eq_ignore_ascii_case(host) && context.address.port == Some(port));
        found.map(|(name, context)| (name.as_str(), context))
    }

    /// The context for a coordinator with this port that is reached on the loopback: by a tunnel, or by another user.
    pub(crate) fn of_loopback(&self, port: u16) -> Option<&Context> {
        let is_it = |context: &&Context| context.address.port == Some(port) && is_loopback(&context.address.host);
        self.contexts.values().find(is_it)
    }

    /// Contexts for other ports of this host.
    pub(crate) fn on_host<'a>(&'a self, host: &'a str) -> impl Iterator<Item = (&'a str, &'a Context)> {
        let all = self.contexts.iter().map(|(name, context)| (name.as_str(), context));
        all.filter(move |(_, context)| context.address.host.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts() -> Contexts {
        let fingerprint = format!("sha256:{}", "0".repeat(64)).parse().expect("a fingerprint");
        let tls = Trust::Tls { fingerprint, token: "abc".to_owned().into() };
        let context = |address: &str, trust| Context { address: address.parse().expect("a place"), trust };
        let contexts =
            [("lab", context("10.0.0.1:6013", tls)), ("bench", context("[::1]:7000", Trust::Insecure))].into_iter();
        let contexts = contexts.map(|(name, context)| (name.to_owned(), context)).collect();
        Contexts { current: Some("lab".to_owned()), contexts }
    }

    #[test]
    fn they_survive_their_file() {
        let text = serde_json::to_string(&contexts()).expect("values");
        assert_eq!(serde_json::from_str::<Contexts>(&text).expect("our own text"), contexts());
        assert!(!format!("{:?}", contexts()).contains("abc"));
    }

    #[test]
    fn a_context_is_found_by_name_and_by_place() {
        let contexts = contexts();
        assert!(contexts.get("lab").is_ok());
        let error = contexts.get("lba").expect_err("no such name");
        assert!(
            matches!(&error, CommandError::Failed { hint: Some(hint), .. } if hint.contains("`bench`, `lab`")),
            "{error:?}"
        );
        assert_eq!(contexts.at("10.0.0.1", 6013).map(|(name, _)| name), Some("lab"));
        assert_eq!(contexts.at("::1", 7000).map(|(name, _)| name), Some("bench"));
        assert_eq!(contexts.at("10.0.0.1", 6014), None);
        assert_eq!(contexts.on_host("10.0.0.1").count(), 1);
    }
}
