//! Brings what nodes name to a coordinator, unless all of its machines see the same files as we do.

use std::path::Path;

use dora_descriptor::Dataflow;
use dora_gateways::{Artifact, DispatcherGateway as _};

use super::{Found, SendError, announce, find, send};
use crate::{
    client::Client,
    command::start::origin,
    error::{self, CommandError},
    load,
    progress::Progress,
    units::show_size,
};

/// Sends what the machines of the coordinator need of the files beside a dataflow file; what a submission says of them.
pub(crate) fn needed(client: &Client, dataflow: &Dataflow, file: &Path) -> Result<Vec<Artifact>, CommandError> {
    match client.run(client.dispatcher().sees(origin(file)))? {
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
