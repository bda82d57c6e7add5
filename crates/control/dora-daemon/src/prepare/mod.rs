//! From a dataflow to a launch plan: which program, which arguments, which environment, which edges.
//!
//! All mistakes are found and reported together. Nothing is started or written here.

mod edges;
mod environment;
mod limits;
mod log;
mod memory;
mod mistake;
mod program;
mod python;
pub(crate) mod search;
pub(crate) mod uv;

use std::{
    ffi::OsString,
    path::{Path, PathBuf, absolute},
};

use dora_channel::os::clock::{monotonic_ns, wall_ns};
use dora_descriptor::{
    Dataflow, Input, Node, NodeKind, Source,
    model::{PathKind, RestartPolicy, RestartRules},
};
use dora_message::{
    id::{DataId, DataflowId},
    keeper::{InputConfig, InputSource},
    supervision::{LaunchPlan, Limits, LogPlan, NodePlan, RestartAfter, RestartRule},
};

pub use memory::default_memory_budget;
pub(crate) use memory::total_memory;
pub use mistake::{Mistake, PrepareError, Problem};

pub(crate) use environment::Environment;
use limits::Defaults;
pub(crate) use mistake::Mistakes;
use program::CommandLine;

use crate::{build::Sources, python::PythonModule};

/// What the caller decides. The default is what `dora run FILE` does.
#[derive(Debug, Clone)]
pub struct PrepareOptions {
    /// Name of the run.
    pub dataflow_id: DataflowId,
    /// Variables that win over those of the dataflow file.
    pub env: Vec<(String, String)>,
    /// Variables that nodes inherit; they lose against those of the dataflow file.
    pub inherited_env: Vec<(OsString, OsString)>,
    /// Bytes of shared memory for payload; [`default_memory_budget`] if none.
    pub memory: Option<u64>,
    /// Timers do not keep nodes alive; as the dataflow file says if none.
    pub exit_when_nodes_finish: Option<bool>,
    /// Directory for recorded inputs, if wanted.
    pub write_events_to: Option<PathBuf>,
    /// Nodes may be command lines for a shell.
    pub allow_shell: bool,
    /// Python nodes are run through `uv`.
    pub uv: bool,
    /// What they get as module `dora`, where `uv` makes an environment for them.
    pub python_module: PythonModule,
    /// What [`Build::run`](crate::Build::run) has brought.
    pub sources: Sources,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        PrepareOptions {
            dataflow_id: uuid::Uuid::now_v7(),
            env: Vec::new(),
            inherited_env: std::env::vars_os().collect(),
            memory: None,
            exit_when_nodes_finish: None,
            write_events_to: None,
            allow_shell: false,
            uv: false,
            python_module: PythonModule::default(),
            sources: Sources::default(),
        }
    }
}

/// A plan, and what its user should know.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// For [`Execution::start`](crate::Execution::start).
    pub plan: LaunchPlan,
    /// Sentences about what was left out.
    pub warnings: Vec<String>,
}

/// Finds everything that the nodes of a dataflow need. `base` is the directory of the dataflow file.
pub fn prepare(dataflow: &Dataflow, base: &Path, options: &PrepareOptions) -> Result<Prepared, PrepareError> {
    let mut mistakes = Mistakes::default();
    let mut warnings = Vec::new();
    let base = absolute(base).unwrap_or_else(|_| base.to_owned());
    let environment = Environment::new(options, &mut warnings);
    let defaults = Defaults::new(options, &mut warnings);
    let mut nodes = Vec::with_capacity(dataflow.nodes.len());
    for node in &dataflow.nodes {
        let dir = working_dir(dataflow, node, &base);
        let log = log::plan(node, &dir, options.dataflow_id);
        if let Some(other) = log::namesake(node, dataflow) {
            mistakes.add::<()>(node, Problem::LogNames { other: other.clone() });
        }
        let place = Place { dir, sources: &options.sources };
        let plan = node_plan(node, place, &environment, &defaults, &mut mistakes, &mut warnings);
        nodes.extend(plan.map(|plan| NodePlan { log, ..plan }));
    }
    mistakes.into_result()?;
    let plan = LaunchPlan {
        dataflow_id: options.dataflow_id,
        clock_anchor_ns: wall_ns().saturating_sub(monotonic_ns()),
        memory_budget: options.memory.unwrap_or_else(default_memory_budget),
        exit_when_nodes_finish: options.exit_when_nodes_finish.unwrap_or(dataflow.exit_when_nodes_finish),
        hold: false,
        write_events_to: options.write_events_to.clone(),
        descriptor: dora_descriptor::expanded_json(dataflow),
        nodes,
        edges: edges::plans(dataflow),
        lasting: None,
    };
    Ok(Prepared { plan, warnings })
}

/// The directory that everything of a node starts from.
pub(crate) fn working_dir(dataflow: &Dataflow, node: &Node, base: &Path) -> PathBuf {
    match dataflow.deploy_of(node).and_then(|deploy| deploy.working_dir.as_ref()) {
        Some(dir) => base.join(dir),
        None => base.to_owned(),
    }
}

/// Where the files of a node are.
struct Place<'a> {
    dir: PathBuf,
    sources: &'a Sources,
}

/// Everything but the log. `None` if a mistake was found.
fn node_plan(
    node: &Node,
    place: Place<'_>,
    environment: &Environment<'_>,
    defaults: &Defaults,
    mistakes: &mut Mistakes,
    warnings: &mut Vec<String>,
) -> Option<NodePlan> {
    let NodeKind::Standard(standard) = &node.kind else {
        return mistakes.add(node, Problem::NotServed { what: "a node that hosts operators".to_owned() });
    };
    let before = mistakes.count();
    let environment = &environment.for_node(node, &place.dir);
    let working_dir = match (&standard.git, place.sources.checkout(&node.id)) {
        (Some(_), Some(checkout)) => checkout.to_owned(),
        (Some(_), None) => return mistakes.add(node, Problem::NotBuilt),
        (None, _) => place.dir,
    };
    if !working_dir.is_dir() {
        mistakes.add::<()>(node, Problem::WorkingDir { dir: working_dir.clone() });
    }
    let is_dynamic = standard.path_kind() == PathKind::Dynamic;
    let command = match is_dynamic {
        true => None,
        false => {
            let downloaded = place.sources.download(&node.id);
            Some(program::command_line(standard, downloaded, &working_dir, environment, |problem| {
                mistakes.add::<()>(node, problem);
            })?)
        }
    };
    let input = |(id, input): (&DataId, &Input)| InputConfig {
        id: id.clone(),
        source: input_source(input),
        queue_size: input.queue_size,
        policy: input.queue_policy,
        timeout_ns: input_timeout(input),
    };
    if mistakes.count() > before {
        return None;
    }
    let (program, args) = command.map(|CommandLine { program, args }| (program, args)).unzip();
    Some(NodePlan {
        id: node.id.clone(),
        program,
        args: args.unwrap_or_default(),
        env: environment.of(node, warnings),
        working_dir,
        inputs: node.inputs.iter().map(input).collect(),
        outputs: node.outputs.keys().filter(|output| !log::carries_lines(node, output)).cloned().collect(),
        cpu_affinity: defaults.cores(node, warnings),
        limits: if is_dynamic { Limits::default() } else { defaults.limits(node) },
        log: LogPlan::default(),
        restart: restart_rule(&node.restart).filter(|_| !is_dynamic),
    })
}

fn restart_rule(rules: &RestartRules) -> Option<RestartRule> {
    let after = match rules.policy {
        RestartPolicy::Never => return None,
        RestartPolicy::OnFailure => RestartAfter::Failure,
        RestartPolicy::Always => RestartAfter::AnyEnd,
    };
    let RestartRules { max_restarts, delay, max_delay, window, .. } = *rules;
    Some(RestartRule { after, max_restarts, delay, max_delay, window })
}

/// Only nodes can be late; timers and log entries are nobody's fault.
fn input_timeout(input: &Input) -> Option<u64> {
    let timeout = input.input_timeout.filter(|_| matches!(input.source, Source::Node { .. }))?;
    Some(timeout.as_nanos().try_into().unwrap_or(u64::MAX))
}

fn input_source(input: &Input) -> InputSource {
    match &input.source {
        Source::Node { node, output } => InputSource::Node { node: node.clone(), output: output.clone() },
        // An interval of more than 580 years is for ever.
        Source::Timer { interval } => {
            InputSource::Timer { interval_ns: interval.as_nanos().try_into().unwrap_or(u64::MAX) }
        }
        Source::Logs { .. } => InputSource::Logs,
    }
}
