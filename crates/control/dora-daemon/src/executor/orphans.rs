//! Dataflows that a daemon has left and that nobody is to take up: they are stopped.

use std::{path::Path, thread, time::Duration};

use dora_gateways::DataflowId;

use crate::{
    execution::{Event, Execution},
    keeper::{AdoptError, Owner, adoptable, incarnation},
};

/// Time that a keeper has to kill all nodes when it is told to.
const KILL_TIME: Duration = Duration::from_secs(2);

/// Why a dataflow goes on.
#[derive(Debug, thiserror::Error)]
#[error("dataflow {dataflow} goes on: {source}")]
pub struct Orphan {
    /// The dataflow.
    pub dataflow: DataflowId,
    /// Why.
    pub source: AdoptError,
}

/// Stops the dataflows of the daemons that had their files in this directory, and waits for their ends: for a host on which
/// no daemon will follow them. How many there were.
///
/// # Errors
/// [`Orphan`]: the first that does not end. All others have.
pub fn stop_orphans(own_home: &Path, grace: Duration) -> Result<usize, Orphan> {
    let owner = Owner::of(own_home);
    let left = adoptable(&owner).unwrap_or_default();
    thread::scope(|scope| {
        let stop = |dataflow: &uuid::Uuid| {
            let (owner, dataflow) = (&owner, DataflowId(*dataflow));
            scope.spawn(move || stop(owner, dataflow, grace).map_err(|source| Orphan { dataflow, source }))
        };
        let stopping: Vec<_> = left.iter().map(stop).collect();
        let mut stopped = 0;
        let mut first = None;
        for one in stopping {
            match one.join() {
                Ok(Ok(())) => stopped += 1,
                Ok(Err(orphan)) => drop(first.get_or_insert(orphan)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        first.map_or(Ok(stopped), Err)
    })
}

fn stop(owner: &Owner, dataflow: DataflowId, grace: Duration) -> Result<(), AdoptError> {
    let mut execution = match Execution::adopt(owner, dataflow.0, incarnation()) {
        Ok(adopted) => adopted.execution,
        Err(AdoptError::Gone) => return Ok(()),
        Err(error) => return Err(error),
    };
    execution.control().stop(grace);
    // Half of the grace again is what those have that were asked more firmly.
    let mut patience = grace + grace / 2 + KILL_TIME;
    loop {
        match execution.next_event(Some(patience)) {
            Event::Finished(_) | Event::LetGo => return Ok(()),
            Event::TimedOut => execution.kill(),
            _ => patience = patience.max(KILL_TIME),
        }
    }
}
