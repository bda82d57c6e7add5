//! What a daemon is started with.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, thread, time::Duration};

use dora_gateways::{MachineId, Resources};
use dora_message::supervision::ORPHAN_TIMEOUT;
use dora_store::Artifacts;

use crate::{prepare::total_memory, python::PythonModule};

/// What a daemon is, offers and allows.
#[derive(Debug, Clone)]
pub struct DaemonOptions {
    /// The machine that it serves.
    pub machine: MachineId,
    /// What `deploy.labels` can ask for.
    pub labels: BTreeMap<String, String>,
    /// What it offers: all processors and all memory.
    pub resources: Resources,
    /// The program that is a keeper when it is called with `keeper`: usually `dora` itself.
    pub keeper: PathBuf,
    /// Where it keeps files. `None`: nowhere; dataflow files are on this machine, and nobody asks for what was.
    pub home: Option<Home>,
    /// How nodes live on without the daemon. `None`, or no home: they end with it.
    pub lasting: Option<Lasting>,
    /// Nodes may be command lines for a shell.
    pub allow_shell: bool,
    /// What Python nodes get as module `dora`, where `uv` makes an environment for them.
    pub python_module: PythonModule,
    /// Variables that nodes and build lines inherit: those of this process.
    pub inherited_env: Vec<(OsString, OsString)>,
}

/// How nodes live on when their daemon is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasting {
    /// So long they wait for the next daemon before they are stopped in order; `None`: for ever.
    pub orphan_timeout: Option<Duration>,
}

impl Default for Lasting {
    fn default() -> Self {
        Lasting { orphan_timeout: Some(ORPHAN_TIMEOUT) }
    }
}

/// The directories of a daemon. They are made when something is put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Shared by all daemons of a user on a machine: `artifacts/<sha256>` and `work/<dataflow>/`.
    pub shared: PathBuf,
    /// Of this daemon alone, and of those that come after it on the same machine: `dataflows/<dataflow>.json`,
    /// `reports/<dataflow>.json`.
    pub own: PathBuf,
}

impl Home {
    /// The files that came with dataflows.
    pub(super) fn artifacts(&self) -> Artifacts {
        Artifacts::new(self.shared.join("artifacts"))
    }
}

impl DaemonOptions {
    /// A daemon that runs for long. Its nodes do not notice when it is gone for a while.
    pub fn new(machine: MachineId, keeper: PathBuf, home: Home) -> Self {
        Self { machine, home: Some(home), lasting: Some(Lasting::default()), ..Self::in_process(keeper) }
    }

    /// A daemon in the process of a command, with which it begins and ends: it makes no files besides those of the nodes.
    pub fn in_process(keeper: PathBuf) -> Self {
        Self {
            machine: MachineId("here".to_owned()),
            labels: BTreeMap::new(),
            resources: of_this_machine(),
            keeper,
            home: None,
            lasting: None,
            allow_shell: false,
            python_module: PythonModule::default(),
            inherited_env: std::env::vars_os().collect(),
        }
    }
}

fn of_this_machine() -> Resources {
    let processors = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    Resources { cpu_millis: processors * 1000, memory: total_memory() }
}
