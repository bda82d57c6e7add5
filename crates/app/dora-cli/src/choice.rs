//! Which dataflow is meant: the one that is named, or else the only one that runs. On a terminal its user is asked.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use dora_gateways::{DataflowInfo, DataflowSelector, DataflowSummary, DispatcherError, DispatcherGateway as _};

use crate::{
    client::{Client, CoordinatorArgs},
    error::CommandError,
};

/// A dataflow, and the coordinator that knows it: arguments of commands about parts of a dataflow.
#[derive(clap::Args)]
pub(crate) struct Scope {
    /// The dataflow; the only one that runs if none is given.
    #[arg(short, long, value_name = "UUID_OR_NAME")]
    dataflow: Option<String>,
    #[command(flatten)]
    coordinator: CoordinatorArgs,
}

impl Scope {
    /// The coordinator, and the dataflow as it knows it.
    pub(crate) fn open(&self) -> Result<(Client, DataflowInfo), CommandError> {
        let client = Client::connect(&self.coordinator)?;
        let dispatcher = client.dispatcher();
        let info =
            resolved(&client, selector(self.dataflow.as_deref()), async |selector| dispatcher.info(selector).await)?;
        Ok((client, info))
    }
}

/// What was typed, or nothing.
pub(crate) fn selector(typed: Option<&str>) -> DataflowSelector {
    typed.map_or(DataflowSelector::Only, DataflowSelector::from)
}

/// Calls with the selector. If it is ambiguous and somebody sits there, they are asked which one is meant, and the call is
/// made again.
pub(crate) fn resolved<T>(
    client: &Client,
    selector: DataflowSelector,
    call: impl AsyncFn(DataflowSelector) -> Result<T, DispatcherError>,
) -> Result<T, CommandError> {
    match client.block_on(call(selector)) {
        Err(DispatcherError::Ambiguous { running }) if !running.is_empty() && somebody_is_there() => {
            let chosen = DataflowSelector::Id(ask(&running)?.id);
            client.run(call(chosen))
        }
        result => result.map_err(|error| client.explain(error)),
    }
}

/// Whether questions can be asked.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn ask(running: &[DataflowSummary]) -> Result<&DataflowSummary, CommandError> {
    let mut stderr = io::stderr().lock();
    for (number, dataflow) in (1..).zip(running) {
        let _ = writeln!(stderr, "{number:>3}  {}  {}", dataflow.id, dataflow.name.as_deref().unwrap_or("-"));
    }
    let _ = write!(stderr, "which one? [1-{}] ", running.len()).and_then(|()| stderr.flush());
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| CommandError::failed(format!("cannot read the answer: {error}")))?;
    answered(&answer, running).ok_or_else(|| CommandError::failed("no dataflow was chosen"))
}

/// By its number, its name or its id.
fn answered<'a>(answer: &str, running: &'a [DataflowSummary]) -> Option<&'a DataflowSummary> {
    let answer = answer.trim();
    let named = || {
        running.iter().find(|dataflow| dataflow.name.as_deref() == Some(answer) || dataflow.id.to_string() == answer)
    };
    let number: Option<usize> = answer.parse().ok();
    number.and_then(|number| running.get(number.checked_sub(1)?)).or_else(named)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use dora_gateways::{DataflowId, DataflowState};

    use super::*;

    #[test]
    fn answers_are_numbers_names_and_ids() {
        let dataflow = |number: u128| DataflowSummary {
            id: DataflowId(uuid::Uuid::from_u128(number)),
            name: Some(format!("flow{number}")),
            state: DataflowState::Running,
            submitted: DateTime::UNIX_EPOCH,
            nodes: 1,
        };
        let running = [dataflow(1), dataflow(2)];
        let chosen = |answer: &str| answered(answer, &running).and_then(|dataflow| dataflow.name.as_deref());
        assert_eq!((chosen(" 2\n"), chosen("flow1\n")), (Some("flow2"), Some("flow1")));
        assert_eq!(chosen(&format!("{}\n", running[1].id)), Some("flow2"));
        assert_eq!((chosen("0"), chosen("3"), chosen(""), chosen("flow")), (None, None, None, None));
    }
}
