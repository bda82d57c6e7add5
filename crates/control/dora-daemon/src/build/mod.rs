//! Builds what a dataflow needs before it runs: repositories are cloned, programs downloaded, `build:` lines run.
//!
//! ```no_run
//! use std::path::Path;
//! use dora_daemon::{Build, BuildOptions, PrepareOptions, prepare};
//!
//! let file = Path::new("dataflow.yml");
//! let loaded = dora_descriptor::load(file, &dora_descriptor::Options::default())?;
//! let options = BuildOptions::new(std::env::current_exe()?);
//! let build = Build::plan(&loaded.dataflow, file, Path::new("."), options)?;
//! let sources = build.run(&mut |event| println!("{}: {:?}", event.node, event.progress))?;
//! let prepared = prepare(&loaded.dataflow, Path::new("."), &PrepareOptions { sources, ..PrepareOptions::default() })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order: `plan` what there is to do, one job per node; `crew` who does it, and how all of them are stopped;
//! `job` one of them, from its source to its last line; `command` one program; `git`, `download` the two kinds of
//! sources; `lock` keeps two builds from one directory; `session` remembers commits, `pins` prescribes them; `output`
//! keeps what was printed; `problem` is what can go wrong.
//!
//! Every program is run by a keeper of its own. That is why a build leaves nothing behind, however it ends: a keeper
//! kills all that its program ever started, and does so as well when the process that builds is killed.
//! This module reports by events; it must not print.

mod command;
mod crew;
mod download;
mod git;
mod job;
mod lock;
mod output;
mod pins;
mod plan;
mod problem;
mod session;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use dora_descriptor::{Dataflow, model::GitSource};
use dora_gateways::{BuildEvent, Progress};
use dora_message::id::NodeId;

pub use crew::BuildControl;
pub use pins::{Pins, PinsError};
pub use problem::{BuildError, BuildProblem, FailedLine};

use crate::{prepare::PrepareError, python::PythonModule};
use crew::{Crew, Message};
use job::{Fetched, Job};
use output::OutDir;
use session::Session;

/// What the caller decides.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The program that is a keeper when it is called with `keeper`: usually `dora` itself.
    pub keeper: PathBuf,
    /// Variables that build lines inherit; they lose against those of the dataflow file.
    pub inherited_env: Vec<(OsString, OsString)>,
    /// Whether what is there already is looked up again.
    pub refresh: Refresh,
    /// Nodes that share a working directory are built side by side too.
    pub parallel: bool,
    /// Python packages are installed by `uv`, for each node into an environment of its own.
    pub uv: bool,
    /// What these environments get as module `dora`.
    pub python_module: PythonModule,
    /// What every source from elsewhere must be; none: whatever it is.
    pub pins: Option<Pins>,
    /// How long a server may be silent before a download is given up.
    pub patience: Duration,
}

impl BuildOptions {
    /// What `dora build FILE` does.
    pub fn new(keeper: PathBuf) -> Self {
        BuildOptions {
            keeper,
            inherited_env: std::env::vars_os().collect(),
            refresh: Refresh::All,
            parallel: false,
            uv: false,
            python_module: PythonModule::default(),
            pins: None,
            patience: Duration::from_secs(30),
        }
    }
}

/// Whether sources that are there already are looked up again: the head of a branch, a download without a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Yes, so the network is needed.
    All,
    /// No: what was built before is used, and works without a network.
    Missing,
}

/// Where the sources of nodes are that do not lie beside the dataflow file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    checkouts: BTreeMap<NodeId, Checkout>,
    downloads: BTreeMap<NodeId, Download>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Checkout {
    dir: PathBuf,
    source: GitSource,
    commit: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Download {
    file: PathBuf,
    url: String,
}

impl Sources {
    /// The directory that holds the repository of a node.
    pub fn checkout(&self, node: &NodeId) -> Option<&Path> {
        self.checkouts.get(node).map(|checkout| checkout.dir.as_path())
    }
    /// The program of a node that was downloaded.
    pub fn download(&self, node: &NodeId) -> Option<&Path> {
        self.downloads.get(node).map(|download| download.file.as_path())
    }
    /// What they are pinned to when they shall stay what they are now.
    pub fn pins(&self) -> Result<Pins, PinsError> {
        let mut pins = Pins::default();
        for (node, Checkout { source, commit, .. }) in &self.checkouts {
            pins.add_commit(node, source, commit);
        }
        for (node, Download { file, url }) in &self.downloads {
            pins.add_program(node, url, file)?;
        }
        Ok(pins)
    }
}

/// What there is to build.
#[derive(Debug)]
pub struct Build {
    jobs: Vec<Job>,
    warnings: Vec<String>,
    session: Session,
    out: OutDir,
    options: BuildOptions,
    control: BuildControl,
}

impl Build {
    /// Finds what there is to build; starts and writes nothing. Relative paths of the dataflow start from `base`, and what
    /// is kept there is named after the dataflow's `file`.
    pub fn plan(dataflow: &Dataflow, file: &Path, base: &Path, options: BuildOptions) -> Result<Self, PrepareError> {
        let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
        let plan::Plan { jobs, warnings } = plan::plan(dataflow, &base, &options)?;
        let out = OutDir::new(&base, file);
        let session = Session::read(&out);
        Ok(Build { jobs, warnings, session, out, options, control: BuildControl::default() })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Sentences about what was left out.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// To stop it, from any thread.
    pub fn control(&self) -> BuildControl {
        self.control.clone()
    }

    /// Where the sources of what was built before are; builds nothing. A source that is not there is left out, and
    /// [`prepare`](crate::prepare()) says so.
    pub fn found(&self) -> Sources {
        let mut sources = Sources::default();
        self.jobs.iter().for_each(|job| sources.add(job.node.clone(), job.found(&self.session)));
        sources
    }

    /// Does it all; nodes that do not disturb each other side by side, at most as many as there are processors.
    ///
    /// When one fails the others are ended. When this returns nothing of the build runs any more.
    pub fn run(self, on_event: &mut dyn FnMut(BuildEvent)) -> Result<Sources, BuildError> {
        let Build { jobs, session: known, out, options, control, .. } = self;
        if jobs.is_empty() {
            return Ok(Sources::default());
        }
        let (messages, received) = mpsc::channel();
        let mut session = known.clone();
        let prescribed: BTreeMap<NodeId, String> = jobs
            .iter()
            .filter(|_| options.pins.is_some())
            .filter_map(|job| Some((job.node.clone(), job.sha256()?.to_owned())))
            .collect();
        let crew = Crew { options, out: out.clone(), session: known.clone(), control: control.clone() };
        crew.start(jobs, messages).map_err(BuildError::Thread)?;
        let mut sources = Sources::default();
        let mut failure = None;
        // Ends when the last worker is gone.
        for message in received {
            match message {
                Message::Event(event) => on_event(event),
                Message::Done(node, Ok(fetched)) => {
                    session.note(&node, &fetched, prescribed.get(&node));
                    sources.add(node, fetched);
                }
                Message::Done(node, Err(problem)) => {
                    failure.get_or_insert(BuildError::Node { node, problem: Box::new(problem) });
                }
            }
        }
        // What was cloned is remembered, even if another node failed.
        let remembered = session.write(&out, &known);
        match failure {
            Some(BuildError::Node { problem, .. }) if matches!(*problem, BuildProblem::Cancelled) => {
                Err(BuildError::Cancelled)
            }
            Some(failure) => Err(failure),
            None if control.is_cancelled() => Err(BuildError::Cancelled),
            None => remembered.map(|()| sources),
        }
    }
}

impl Sources {
    fn add(&mut self, node: NodeId, fetched: Fetched) {
        match fetched {
            Fetched::Nothing => {}
            Fetched::Program { file, url } => drop(self.downloads.insert(node, Download { file, url })),
            Fetched::Checkout { dir, source, commit } => {
                self.checkouts.insert(node, Checkout { dir, source, commit });
            }
        }
    }
}
