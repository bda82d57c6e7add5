//! Brings what nodes name to a coordinator, unless all of its machines see the same files as we do.

use std::path::Path;

use dora_daemon::file_identity;
use dora_descriptor::Dataflow;
use dora_gateways::{Artifact, DispatcherGateway as _, MachineInfo};

use super::{Found, SendError, announce, find, send};
use crate::{
    client::Client,
    error::{self, CommandError},
    load,
    progress::Progress,
    units::show_size,
};

/// Sends what the machines of the coordinator need of the files beside a dataflow file; what a submission says of them.
pub(crate) fn needed(client: &Client, dataflow: &Dataflow, file: &Path) -> Result<Vec<Artifact>, CommandError> {
    match see_our_files(&client.run(client.dispatcher().machines())?) {
        true => Ok(Vec::new()),
        false => all(client, dataflow, file),
    }
}

/// The same, also if they could find the files by themselves.
pub(crate) fn all(client: &Client, dataflow: &Dataflow, file: &Path) -> Result<Vec<Artifact>, CommandError> {
    let failed = |error: super::ArtifactError| {
        let hint = error.hint();
        CommandError::failed(error.to_string()).with_hint(hint)
    };
    let Found { files, warnings } = find(dataflow, load::directory(file)).map_err(failed)?;
    warnings.iter().for_each(|warning| error::tell_line(&format!("warning: {warning}")));
    let announced = announce(files).map_err(failed)?;
    let mut progress = Progress::new();
    let dispatcher = client.patient();
    let sent = send(&dispatcher, &announced, |sent, all| {
        progress.tell(|| format!("sending files: {} of {}", show_size(sent), show_size(all)));
    });
    match client.block_on(sent) {
        Ok(()) => Ok(announced.into_iter().map(|file| file.artifact).collect()),
        Err(SendError::Refused(error)) => Err(client.explain(error)),
        Err(error) => Err(CommandError::failed(error.to_string()).with_hint("try again when nobody writes to it")),
    }
}

/// Whether every machine has our root directory: then it finds the dataflow file, and all that lies beside it, by itself.
fn see_our_files(machines: &[MachineInfo]) -> bool {
    let ours = file_identity(Path::new("/"));
    ours.is_some() && machines.iter().all(|machine| machine.root == ours)
}

#[cfg(test)]
mod tests {
    use dora_gateways::{MachineId, Resources};

    use super::*;

    #[test]
    fn files_stay_where_all_machines_see_them() {
        let machine = |root| MachineInfo {
            machine: MachineId("a".to_owned()),
            labels: [].into(),
            resources: Resources::default(),
            free: Resources::default(),
            root,
            reachable: true,
        };
        let ours = file_identity(Path::new("/"));
        assert!(see_our_files(&[machine(ours.clone())]));
        assert!(!see_our_files(&[machine(ours), machine(file_identity(Path::new("/proc")))]));
        assert!(!see_our_files(&[machine(None)]));
    }
}
