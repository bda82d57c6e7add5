//! Which coordinator a command means: what the command line says, else the environment, else the current context, else
//! this host.

use std::env;

use super::{
    host_port::{HostPort, NoHostPort},
    target::names_this_host,
};
use crate::error::CommandError;

/// The port of a coordinator when nothing else is said.
pub(crate) const DEFAULT_PORT: u16 = 6013;

const ADDRESS: &str = "DORA_COORDINATOR_ADDR";
const PORT: &str = "DORA_COORDINATOR_PORT";

/// The options of every command that talks with a coordinator.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Coordinator")]
pub(crate) struct CoordinatorArgs {
    /// Where the coordinator is: an address or a host name, with or without `:PORT` [env: DORA_COORDINATOR_ADDR].
    ///
    /// Without it: the current context (`dora context use`), else this host.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) coordinator_addr: Option<HostPort>,
    /// Its port [env: DORA_COORDINATOR_PORT] [default: 6013].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) coordinator_port: Option<u16>,
    /// A coordinator that `dora context add` made known; `local` is that of this host.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["coordinator_addr", "coordinator_port"])]
    pub(crate) context: Option<String>,
    /// Connect without encryption and token, to a coordinator that was started so.
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Which coordinator is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// The one with this name.
    Context(String),
    /// The one at this place.
    At { host: String, port: u16 },
    /// The one of this host with this port.
    Here { port: u16 },
    /// Nothing was said.
    Any,
}

impl CoordinatorArgs {
    /// Whether command line or environment name a coordinator: commands that also work without one ask this.
    pub(crate) fn names_one(&self) -> bool {
        let said = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        *self != Self::default() || said(ADDRESS) || said(PORT)
    }

    /// What command line and environment say.
    pub(super) fn choice(&self) -> Result<Choice, CommandError> {
        self.choice_in(|name| env::var(name).ok())
    }

    /// The port of the coordinator that is meant, for a command that works only on the host of its coordinator.
    pub(crate) fn port_here(&self) -> Result<u16, CommandError> {
        self.choice()?.port_here()
    }

    fn choice_in(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Choice, CommandError> {
        if let Some(name) = &self.context {
            return Ok(Choice::Context(name.clone()));
        }
        let said = |name| environment(name).filter(|value| !value.is_empty());
        let port = match said(PORT) {
            Some(text) => Some(text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                CommandError::usage(format!("{PORT} is `{text}`, which is no port"), "set it to a number up to 65535")
            })?),
            None => None,
        };
        let address: Option<HostPort> = match (&self.coordinator_addr, said(ADDRESS)) {
            (Some(address), _) => Some(address.clone()),
            (None, Some(text)) => Some(text.parse().map_err(|error: NoHostPort| {
                CommandError::usage(format!("{ADDRESS} is `{text}`, which is no address"), error.to_string())
            })?),
            (None, None) => None,
        };
        match (&self.coordinator_addr, self.coordinator_port) {
            (Some(HostPort { port: Some(one), .. }), Some(other)) if *one != other => {
                return Err(CommandError::usage(
                    format!("--coordinator-addr names port {one}, --coordinator-port {other}"),
                    "name it once",
                ));
            }
            _ => {}
        }
        // The flag for the port wins over a port that the environment appends to its address.
        let of_address = address.as_ref().and_then(|address| address.port);
        let chosen = self.coordinator_port.or(of_address).or(port);
        Ok(match address {
            Some(HostPort { host, .. }) => Choice::At { host, port: chosen.unwrap_or(DEFAULT_PORT) },
            None => chosen.map_or(Choice::Any, |port| Choice::Here { port }),
        })
    }
}

impl Choice {
    fn port_here(self) -> Result<u16, CommandError> {
        match self {
            Self::At { host, port } if !names_this_host(&host) => Err(CommandError::usage(
                format!("{} is not this host", HostPort { host, port: Some(port) }),
                format!("this works only on the host of the coordinator; {ADDRESS} may name another one: unset it"),
            )),
            Self::At { port, .. } | Self::Here { port } => Ok(port),
            // What a context says is not asked for by who can only mean this host.
            Self::Context(_) | Self::Any => Ok(DEFAULT_PORT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::parsed;

    fn choice(line: &str, environment: &[(&str, &str)]) -> Result<Choice, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        parsed::<CoordinatorArgs>(&words)
            .expect("a good line")
            .choice_in(|name| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn at(host: &str, port: u16) -> Choice {
        Choice::At { host: host.to_owned(), port }
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_nothing() {
        let environment = [(ADDRESS, "robot:7000"), (PORT, "8000")];
        let chosen = |line, environment| choice(line, environment).expect("a choice");
        assert_eq!(chosen("", &[]), Choice::Any);
        assert_eq!(chosen("", &environment), at("robot", 7000));
        assert_eq!(chosen("", &[(ADDRESS, "robot"), (PORT, "8000")]), at("robot", 8000));
        assert_eq!(chosen("", &[(ADDRESS, ""), (PORT, "")]), Choice::Any);
        assert_eq!(chosen("", &[(PORT, "8000")]), Choice::Here { port: 8000 });
        assert_eq!(chosen("--coordinator-addr arm", &environment), at("arm", 8000));
        assert_eq!(chosen("--coordinator-addr [::1]:9 --coordinator-port 9", &environment), at("::1", 9));
        assert_eq!(chosen("--coordinator-port 9", &environment), at("robot", 9));
        assert_eq!(chosen("--coordinator-addr arm", &[]), at("arm", DEFAULT_PORT));
        assert_eq!(chosen("--context lab", &environment), Choice::Context("lab".to_owned()));
    }

    #[test]
    fn what_works_only_on_this_host_takes_the_port_that_all_commands_mean() {
        let port = |line, environment| choice(line, environment).expect("a choice").port_here();
        assert_eq!(port("", &[]).ok(), Some(DEFAULT_PORT));
        assert_eq!(port("", &[(ADDRESS, "127.0.0.1:7000"), (PORT, "8000")]).ok(), Some(7000));
        assert_eq!(port("--coordinator-port 9", &[(ADDRESS, "localhost")]).ok(), Some(9));
        let elsewhere = port("--coordinator-port 9", &[(ADDRESS, "192.0.2.7")]).expect_err("another host");
        assert_eq!(elsewhere.to_string(), "192.0.2.7:9 is not this host");
    }

    #[test]
    fn what_contradicts_itself_or_is_no_place_is_refused() {
        let refused = |line, environment| choice(line, environment).expect_err("a mistake").to_string();
        assert!(refused("--coordinator-addr a:1 --coordinator-port 2", &[]).contains("port 1"));
        assert!(refused("", &[(PORT, "zero")]).contains("`zero`"));
        assert!(refused("", &[(ADDRESS, "ws://a")]).contains("`ws://a`"));
    }
}
