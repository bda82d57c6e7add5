//! What is remembered of a dataflow once it has ended: where its log files are, and its working directory, so that both can
//! be read and removed, also by the next daemon.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use dora_gateways::{Attempt, DataflowEvent, DataflowId};
use dora_message::{id::NodeId, supervision::LaunchPlan};
use serde::{Deserialize, Serialize};

use super::{options::Home, place, run::Run};

/// One dataflow. Fields are added with a default; none is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) dataflow: DataflowId,
    pub(super) logs: Vec<LogFiles>,
    /// Its nodes, with their placements: what is told of them while their keeper does not answer the next daemon.
    #[serde(default)]
    pub(super) nodes: Vec<(NodeId, Attempt)>,
}

/// Remembers a dataflow that runs, where there is a place for it.
pub(super) fn remember(home: Option<&Home>, dataflow: DataflowId, run: &Run) {
    let (Some(home), Some(started)) = (home, run.started.get()) else { return };
    let record = Record { dataflow, logs: started.logs.clone(), nodes: run.board.placements() };
    if let Err(error) = record.write(home) {
        let message = format!("the log files will not be found once the dataflow has ended: {error}");
        run.feed.publish(DataflowEvent::Warning(message));
    }
}

/// The log files of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogFiles {
    pub(super) node: NodeId,
    /// The one that is written.
    pub(super) file: PathBuf,
    /// How many older ones are kept; none if it is not rotated.
    pub(super) rotated: u32,
}

impl LogFiles {
    /// Those of all nodes of a plan.
    pub(super) fn of(plan: &LaunchPlan) -> Vec<Self> {
        let files = plan.nodes.iter().filter_map(|node| {
            let rotated = node.log.max_size.map_or(0, |_| node.log.max_rotated_files);
            Some(LogFiles { node: node.id.clone(), file: node.log.file.clone()?, rotated })
        });
        files.collect()
    }
}

impl Record {
    /// What is remembered, if anything.
    pub(super) fn read(home: &Home, dataflow: DataflowId) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(home, dataflow)).ok()?).ok()
    }

    pub(super) fn write(&self, home: &Home) -> io::Result<()> {
        let path = path(home, self.dataflow);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        let part = path.with_extension("part");
        fs::write(&part, serde_json::to_vec(self)?)?;
        fs::rename(part, path)
    }

    /// Removes what the dataflow has left, and the memory of it.
    pub(super) fn clean(home: &Home, dataflow: DataflowId) -> io::Result<()> {
        let logs = Record::read(home, dataflow).map(|record| record.logs).unwrap_or_default();
        let directories: BTreeSet<&Path> = logs.iter().filter_map(|logs| logs.file.parent()).collect();
        let name = dataflow.to_string();
        // Nothing but the directories of this run, whatever the file says.
        for directory in directories.into_iter().filter(|directory| directory.ends_with(&name)) {
            gone(fs::remove_dir_all(directory))?;
        }
        gone(fs::remove_dir_all(place::work_dir(home, dataflow)))?;
        let record = path(home, dataflow);
        // A daemon may have been killed while it wrote it.
        gone(fs::remove_file(record.with_extension("part")))?;
        gone(fs::remove_file(record))
    }
}

fn path(home: &Home, dataflow: DataflowId) -> PathBuf {
    home.own.join("dataflows").join(format!("{dataflow}.json"))
}

/// What is not there is as good as removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
