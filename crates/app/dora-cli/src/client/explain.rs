//! Errors of the control plane as what the user of a command reads: what happened, where, what to do next.

use dora_gateways::{DataflowSummary, DispatcherError, MetricsError};
use dora_rpc::{ConnectError, Refusal, RpcError};

use super::{absence, target::Place};
use crate::error::{CommandError, without_number};

/// An error that came from the coordinator at a place.
pub(crate) trait Explain {
    /// As its user reads it.
    fn explain(self, at: &Place) -> CommandError;
}

impl Explain for DispatcherError {
    fn explain(self, at: &Place) -> CommandError {
        let what = self.to_string();
        let hint = match self {
            Self::Rpc(error) => return error.explain(at),
            Self::Descriptor { mistakes } => {
                return CommandError::failed(format!("the coordinator refuses the dataflow:\n{}", mistakes.join("\n")));
            }
            Self::UnknownDataflow { .. } => "`dora list` shows all of them".to_owned(),
            Self::Ambiguous { running } if running.is_empty() => {
                "`dora start FILE` starts one; `dora list` shows those that have ended".to_owned()
            }
            Self::Ambiguous { running } => format!("name it by its name or id: {}", names(&running)),
            Self::NameTaken { name, .. } => {
                format!("`dora stop {name}` stops it; `--name` gives this one another name")
            }
            Self::UnknownNode { .. } => "`dora node list` shows the nodes".to_owned(),
            Self::UnknownOutput { .. } => "`dora topic list` shows the outputs".to_owned(),
            Self::Ended { .. } => "`dora restart` runs it again".to_owned(),
            Self::NoFit { .. } => "`dora status` shows the machines, their labels and what is free".to_owned(),
            Self::StillRunning { running } => {
                let them = if running.len() == 1 { "it" } else { "them" };
                format!("running: {}; `dora stop --all` stops {them}, `--force` does so on the way", names(&running))
            }
            Self::Store { .. } => "look at the disk and the log of the coordinator".to_owned(),
            Self::Machine { .. } => "`dora status` shows the machines".to_owned(),
            Self::Artifact { .. } | Self::NotServed { .. } => return CommandError::failed(what),
        };
        CommandError::failed(what).with_hint(hint)
    }
}

impl Explain for MetricsError {
    fn explain(self, at: &Place) -> CommandError {
        match self {
            Self::Rpc(error) => error.explain(at),
            Self::UnknownDataflow { .. } => {
                CommandError::failed(self.to_string()).with_hint("`dora list` shows which dataflows run")
            }
        }
    }
}

impl Explain for RpcError {
    fn explain(self, at: &Place) -> CommandError {
        let failed = CommandError::failed(format!("the coordinator at {at}: {self}"));
        match self {
            Self::Disconnected { .. } | Self::Stopped { .. } => {
                failed.with_hint("it has ended, or the network is gone; `dora status` looks again")
            }
            Self::Deadline { .. } | Self::Overloaded { .. } => {
                failed.with_hint("it is busy or stuck; try again, and look at its log")
            }
            Self::UnknownMethod { .. } | Self::Malformed { .. } | Self::WrongGateway { .. } => {
                failed.with_hint("install the same version of dora on both sides")
            }
            Self::TooLarge { .. } => failed.with_hint("make the message smaller"),
            _ => failed,
        }
    }
}

impl Explain for ConnectError {
    fn explain(self, at: &Place) -> CommandError {
        match (self, at) {
            (Self::Unreachable { reason, .. }, Place::Here { port }) => absence::explain(*port, &reason),
            (Self::Unreachable { reason, .. }, _) => unreachable(at, &reason),
            (Self::Foreign { reason, .. }, _) => CommandError::failed(format!("{at} is no coordinator: {reason}")).with_hint(
                "look at the address and the port; a coordinator that was not started with `--insecure` wants the context \
                 that `dora up --interface` printed",
            ),
            (Self::Untrusted { reason, .. }, _) => CommandError::failed(format!("{at} is not the coordinator that it was: {reason}"))
                .with_hint(
                    "if it was set up anew, run the `dora context add` line that `dora up --interface` printed there; if \
                     not, somebody else answers in its place",
                ),
            (error @ Self::Version { .. }, _) => {
                CommandError::failed(error.to_string()).with_hint("install the same version of dora on both sides")
            }
            (Self::Refused { refusal, reason, .. }, _) => {
                let refused = CommandError::failed(format!("the coordinator at {at} refuses the connection: {reason}"));
                match refusal {
                    Refusal::Token => refused.with_hint(
                        "run the `dora context add` line that `dora up --interface` printed where the coordinator runs",
                    ),
                    Refusal::Full | Refusal::Stopping => refused.with_hint("try again in a moment"),
                    _ => refused,
                }
            }
            (Self::Rpc(error), _) => error.explain(at),
        }
    }
}

/// Nobody answers at this place.
pub(super) fn unreachable(at: &Place, reason: &str) -> CommandError {
    let reason = without_number(reason);
    CommandError::failed(format!("cannot reach the coordinator at {at}: {reason}")).with_hint(
        "look at address, port and firewall; there, `dora status` tells whether it runs, and `dora up --interface ADDRESS` \
         makes it reachable",
    )
}

/// Somebody answers there, but we do not know how to trust it.
pub(super) fn stranger(at: &Place, known: &[String]) -> CommandError {
    let others = match known {
        [] => String::new(),
        names => format!("; this host is known with another port, as {}", names.join(", ")),
    };
    CommandError::failed(format!("{at} answers, but neither its certificate nor a token is known here{others}")).with_hint(
        "run the `dora context add` line that `dora up --interface` printed there; `--insecure` does without encryption \
         and token, if the coordinator was started so",
    )
}

/// Dataflows by their names, or ids.
pub(crate) fn names(dataflows: &[DataflowSummary]) -> String {
    let name = |dataflow: &DataflowSummary| dataflow.name.clone().unwrap_or_else(|| dataflow.id.to_string());
    dataflows.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(error: CommandError) -> (String, String) {
        match error {
            CommandError::Failed { what, hint } => (what, hint.unwrap_or_default()),
            other => (other.to_string(), String::new()),
        }
    }

    #[test]
    fn who_cannot_be_reached_is_told_with_the_next_step() {
        let unreachable =
            || ConnectError::Unreachable { address: "x".to_owned(), reason: "Connection refused".to_owned() };
        let (what, hint) = parts(unreachable().explain(&Place::Here { port: 7000 }));
        assert_eq!(what, "no coordinator runs on this host with port 7000");
        assert!(hint.contains("`dora up --port 7000`"), "{hint}");
        let (what, hint) = parts(unreachable().explain(&Place::There { host: "::2".to_owned(), port: 1 }));
        assert_eq!(what, "cannot reach the coordinator at [::2]:1: Connection refused");
        assert!(hint.contains("dora up --interface"), "{hint}");
    }

    #[test]
    fn versions_are_both_named() {
        let error = ConnectError::Version { address: "robot:1".to_owned(), ours: 1, theirs: 7 };
        let (what, hint) = parts(error.explain(&Place::Here { port: 1 }));
        assert!(what.contains("version 7") && what.contains("version 1"), "{what}");
        assert!(hint.contains("same version"), "{hint}");
    }
}
