//! The coordinators of this user on this host, and the one that is asked about.

use dora_gateways::{DispatcherGateway as _, MachineInfo};

use super::finding::Finding;
use crate::{
    background::{Running, strays},
    client::{Client, CoordinatorArgs, Target},
    error::CommandError,
    home::Home,
    words::counted,
};

pub(super) fn probe(asked: &CoordinatorArgs) -> Vec<Finding> {
    let here = Home::find().map(|home| of_this_host(&home)).unwrap_or_default();
    if *asked == CoordinatorArgs::default() {
        let none = || vec![Finding::ok("on this host", "none runs")];
        return if here.is_empty() { none() } else { here };
    }
    let (what, seen) = match Target::resolve(asked) {
        Ok(target) => (target.place().to_string(), machines(target)),
        Err(error) => ("the one that is meant".to_owned(), Err(error)),
    };
    let finding = match seen {
        Ok(machines) => judge(what, &machines),
        Err(error) => Finding::error(what, error.to_string(), advice(&error)),
    };
    here.into_iter().chain([finding]).collect()
}

fn of_this_host(home: &Home) -> Vec<Finding> {
    let running = home.coordinators().into_iter().filter_map(|port| {
        let running = Running::in_directory(&home.coordinator(port)).ok()??;
        let what = format!("port {port}");
        Some(match machines(Target::here(home, port)) {
            Ok(_) => Finding::ok(what, format!("runs as process {}", running.pid())),
            Err(error) => Finding::warning(what, error.to_string(), advice(&error)),
        })
    });
    running.chain(strays::below(home.path()).iter().map(stray)).collect()
}

/// A process that no command reaches any more.
fn stray(stray: &Running) -> Finding {
    let pid = stray.pid();
    let directory = stray.directory().display();
    Finding::warning(
        format!("process {pid}"),
        format!("{}: its directory {directory} was removed, so no command reaches it", stray.process()),
        format!("`dora down --force` with its port, or `kill {pid}`, ends it in order"),
    )
}

fn advice(error: &CommandError) -> String {
    error.hint().unwrap_or("`dora status` tells more").to_owned()
}

fn machines(target: Target) -> Result<Vec<MachineInfo>, CommandError> {
    let client = Client::connect_to(target)?;
    client.run(client.dispatcher().machines())
}

fn judge(what: String, machines: &[MachineInfo]) -> Finding {
    match machines.iter().filter(|machine| machine.reachable).count() {
        0 => Finding::warning(
            what,
            "it answers, but has no machine",
            "`dora daemon` offers it a machine, `dora up` this one",
        ),
        count => Finding::ok(what, format!("it answers, with {}", counted(count, "machine"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinator_without_machines_is_worth_a_warning() {
        assert_eq!(judge("robot:6013".to_owned(), &[]).status, super::super::finding::Status::Warning);
    }
}
