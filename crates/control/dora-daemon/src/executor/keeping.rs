//! What makes keepers outlive the daemon: whose they are, what the next daemon must know, where they leave their reports.

use std::{fs, io, path::PathBuf, time::Duration};

use dora_gateways::{Attempt, DataflowId};
use dora_message::{id::NodeId, supervision::LastingPlan};
use serde::{Deserialize, Serialize};

use super::options::DaemonOptions;
use crate::keeper::{Owner, incarnation};

/// How this daemon has its keepers.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) owner: Owner,
    /// Tells this daemon from those before it.
    pub(super) incarnation: u64,
    orphan_timeout: Option<Duration>,
    reports: PathBuf,
}

/// What a daemon leaves to the next one with each keeper. Fields are added with a default.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bequest {
    /// The nodes, with their placements.
    pub(super) nodes: Vec<(NodeId, Attempt)>,
}

impl Bequest {
    /// What a plan has of it.
    pub(super) fn read(lasting: Option<&LastingPlan>) -> Result<Self, serde_json::Error> {
        serde_json::from_str(lasting.map_or("", |lasting| &lasting.supervisor_data))
    }
}

impl Keeping {
    /// `None`: keepers end with the daemon.
    pub(super) fn new(options: &DaemonOptions) -> Option<Self> {
        let (lasting, home) = (options.lasting?, options.home.as_ref()?);
        Some(Keeping {
            owner: Owner::of(&home.own),
            incarnation: incarnation(),
            orphan_timeout: lasting.orphan_timeout,
            reports: home.own.join("reports"),
        })
    }

    /// How the keeper of a dataflow is to live on.
    pub(super) fn plan(&self, dataflow: DataflowId, nodes: Vec<(NodeId, Attempt)>) -> io::Result<LastingPlan> {
        fs::create_dir_all(&self.reports)?;
        Ok(LastingPlan {
            owner: self.owner.as_str().to_owned(),
            incarnation: self.incarnation,
            orphan_timeout: self.orphan_timeout,
            report_file: Some(self.report_file(dataflow)),
            supervisor_data: serde_json::to_string(&Bequest { nodes })?,
        })
    }

    /// Where the keeper of a dataflow leaves how it ended, if no daemon is there.
    pub(super) fn report_file(&self, dataflow: DataflowId) -> PathBuf {
        self.reports.join(format!("{dataflow}.json"))
    }

    /// The dataflows of which there are such files.
    pub(super) fn reported(&self) -> Vec<DataflowId> {
        let entries = fs::read_dir(&self.reports).into_iter().flatten().flatten();
        let dataflow = |path: PathBuf| {
            let is_whole = path.extension().is_some_and(|extension| extension == "json");
            is_whole.then(|| path.file_stem()?.to_str()?.parse().ok().map(DataflowId))?
        };
        entries.filter_map(|entry| dataflow(entry.path())).collect()
    }
}
