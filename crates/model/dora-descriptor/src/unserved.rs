//! What a certain runner cannot do with a dataflow that is in order.
//!
//! Loading accepts every key that some version of the runner serves. A runner says with [`Capabilities`] what it serves,
//! and refuses the rest by [`unserved`], with the place of each, instead of leaving it out in silence.

use dora_message::id::{DataId, NodeId};

use crate::{
    diagnostic::{Code, Diagnostic, Diagnostics},
    load::Loaded,
    model::{Deploy, Distribute, Node, NodeKind, PathKind, RestartPolicy, RestartRules, Source},
    places::Part,
    source::Span,
};

/// What a runner serves. The default is nothing but programs on this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Operators written in Python.
    pub python_operators: bool,
    /// Operators in shared libraries.
    pub native_operators: bool,
    /// Several operators in one node.
    pub several_operators: bool,
    /// Nodes that are Python files.
    pub python_nodes: bool,
    /// `build` commands.
    pub build: bool,
    /// Nodes from a repository.
    pub git: bool,
    /// Nodes from a URL.
    pub url: bool,
    /// Nodes that are a command line.
    pub shell: bool,
    /// Nodes that attach by themselves.
    pub dynamic: bool,
    /// `restart_policy` and what belongs to it.
    pub restart: bool,
    /// `health_check_timeout`, `startup_timeout` and `health_check_interval`.
    pub health_checks: bool,
    /// `finish_grace_secs`.
    pub finish_grace: bool,
    /// `input_timeout`.
    pub input_timeout: bool,
    /// `cpu_affinity`.
    pub cpu_affinity: bool,
    /// `shared_memory_pool_size`.
    pub pool_size: bool,
    /// `send_stdout_as`.
    pub stdout_outputs: bool,
    /// `send_logs_as`.
    pub log_outputs: bool,
    /// Inputs from `dora/logs`.
    pub log_inputs: bool,
    /// `min_log_level`, `max_log_size` and `max_rotated_files`.
    pub log_rules: bool,
    /// `deploy` beyond this machine.
    pub remote_deploy: bool,
    /// `working_dir` of `deploy`.
    pub working_dir: bool,
    /// `debug`.
    pub debug_inspection: bool,
}

impl Capabilities {
    /// Everything that a dataflow file can ask for.
    pub const ALL: Self = Self {
        python_operators: true,
        native_operators: true,
        several_operators: true,
        python_nodes: true,
        build: true,
        git: true,
        url: true,
        shell: true,
        dynamic: true,
        restart: true,
        health_checks: true,
        finish_grace: true,
        input_timeout: true,
        cpu_affinity: true,
        pool_size: true,
        stdout_outputs: true,
        log_outputs: true,
        log_inputs: true,
        log_rules: true,
        remote_deploy: true,
        working_dir: true,
        debug_inspection: true,
    };
}

/// Everything in a dataflow that a runner with these capabilities does not serve; empty if it can run it.
pub fn unserved(loaded: &Loaded, capabilities: &Capabilities) -> Diagnostics {
    let mut refusals = Refusals { loaded, has: capabilities, items: Vec::new() };
    refusals.top();
    for node in &loaded.dataflow.nodes {
        refusals.node(node);
    }
    Diagnostics::new(refusals.items, loaded.warnings.sources().clone())
}

struct Refusals<'a> {
    loaded: &'a Loaded,
    has: &'a Capabilities,
    items: Vec<Diagnostic>,
}

impl Refusals<'_> {
    /// Refuses what is asked for but not served.
    fn check(&mut self, asked: bool, served: bool, span: Span, what: &str) {
        if asked && !served {
            self.items.push(
                Diagnostic::error(Code::Unsupported, span, format!("{what} not served by this version of dora yet"))
                    .help("the file is in order; remove this to run it now, or run it with a version that serves it"),
            );
        }
    }

    fn key(&mut self, asked: bool, served: bool, node: &NodeId, key: &'static str) {
        let span = self.loaded.places.part(node, &Part::Key(key));
        self.check(asked, served, span, &format!("`{key}` is"));
    }

    fn top(&mut self) {
        let dataflow = &self.loaded.dataflow;
        let places = &self.loaded.places;
        if let Some(deploy) = &dataflow.deploy {
            let key = if places.keys.contains_key("deploy") { "deploy" } else { "_unstable_deploy" };
            self.deploy(deploy, places.key(key));
        }
        let debug = if places.keys.contains_key("debug") { "debug" } else { "_unstable_debug" };
        let asked = dataflow.debug.enable_debug_inspection;
        self.check(asked, self.has.debug_inspection, places.key(debug), "inspecting messages is");
        let asked = places.keys.contains_key("health_check_interval");
        let span = places.key("health_check_interval");
        self.check(asked, self.has.health_checks, span, "`health_check_interval` is");
    }

    fn deploy(&mut self, deploy: &Deploy, span: Span) {
        let remote = deploy.machine.is_some()
            || !deploy.labels.is_empty()
            || deploy.distribute.is_some_and(|distribute| distribute != Distribute::Local);
        self.check(remote, self.has.remote_deploy, span, "deployment to other machines is");
        self.check(deploy.working_dir.is_some(), self.has.working_dir, span, "`working_dir` is");
    }

    fn node(&mut self, node: &Node) {
        let (id, has) = (&node.id, self.has);
        match &node.kind {
            NodeKind::Standard(standard) => {
                let path = self.loaded.places.part(id, &Part::Key("path"));
                let (served, what) = match standard.path_kind() {
                    PathKind::Dynamic => (has.dynamic, "`path: dynamic` is"),
                    PathKind::Shell => (has.shell, "`path: shell` is"),
                    PathKind::Url => (has.url, "a node from a URL is"),
                    PathKind::Python => (has.python_nodes, "a node in Python is"),
                    PathKind::Program => (true, ""),
                };
                self.check(true, served, path, what);
                self.key(standard.build.is_some(), has.build, id, "build");
                self.key(standard.git.is_some(), has.git, id, "git");
            }
            NodeKind::Runtime(_) => self.operators(node),
        }
        self.supervision(node);
        if let Some(deploy) = &node.deploy {
            let written = |key| self.loaded.places.written(id, &Part::Key(key));
            let span = written("deploy").or(written("_unstable_deploy"));
            self.deploy(deploy, span.unwrap_or_else(|| self.loaded.places.node(id)));
        }
        self.ports(node);
    }

    fn operators(&mut self, node: &Node) {
        let Some(runtime) = node.runtime() else { return };
        let has = self.has;
        for operator in &runtime.operators {
            let span = |key| self.loaded.places.part(&node.id, &Part::Operator(operator.id.clone(), key));
            let (python, library, build) = (span("python"), span("shared-library"), span("build"));
            let is_python = matches!(operator.source, crate::model::OperatorSource::Python { .. });
            self.check(is_python, has.python_operators, python, "an operator in Python is");
            self.check(!is_python, has.native_operators, library, "an operator in a shared library is");
            self.check(operator.build.is_some(), has.build, build, "`build` is");
        }
        let several = runtime.operators.len() > 1;
        let span = self.loaded.places.part(&node.id, &Part::Key("operators"));
        self.check(several, has.several_operators, span, "more than one operator in a node is");
    }

    fn supervision(&mut self, node: &Node) {
        let (id, has) = (&node.id, self.has);
        let RestartRules { policy, max_restarts, delay, max_delay, window } = &node.restart;
        self.key(*policy != RestartPolicy::Never, has.restart, id, "restart_policy");
        self.key(*max_restarts != 0, has.restart, id, "max_restarts");
        self.key(delay.is_some(), has.restart, id, "restart_delay");
        self.key(max_delay.is_some(), has.restart, id, "max_restart_delay");
        self.key(window.is_some(), has.restart, id, "restart_window");
        self.key(node.health.health_check_timeout.is_some(), has.health_checks, id, "health_check_timeout");
        self.key(node.health.startup_timeout.is_some(), has.health_checks, id, "startup_timeout");
        self.key(node.health.finish_grace.is_some(), has.finish_grace, id, "finish_grace_secs");
        self.key(!node.cpu_affinity.is_empty(), has.cpu_affinity, id, "cpu_affinity");
        self.key(node.shared_memory_pool_size.is_some(), has.pool_size, id, "shared_memory_pool_size");
        let logs = &node.logs;
        self.log_key(node, logs.send_stdout_as.is_some(), has.stdout_outputs, "send_stdout_as");
        self.log_key(node, logs.send_logs_as.is_some(), has.log_outputs, "send_logs_as");
        self.log_key(node, logs.min_level.is_some(), has.log_rules, "min_log_level");
        self.log_key(node, logs.max_size.is_some(), has.log_rules, "max_log_size");
        self.log_key(node, logs.max_rotated_files.is_some(), has.log_rules, "max_rotated_files");
    }

    /// A key that stands on the node or on one of its operators.
    fn log_key(&mut self, node: &Node, asked: bool, served: bool, key: &'static str) {
        let operators = node.runtime().map(|runtime| runtime.operators.as_slice()).unwrap_or_default();
        let span = operators
            .iter()
            .find_map(|operator| self.loaded.places.written(&node.id, &Part::Operator(operator.id.clone(), key)));
        let span = span.unwrap_or_else(|| self.loaded.places.part(&node.id, &Part::Key(key)));
        self.check(asked, served, span, &format!("`{key}` is"));
    }

    fn ports(&mut self, node: &Node) {
        let span = |input: &DataId, key: Option<&'static str>| {
            let part = match key {
                Some(key) => Part::InputKey(input.clone(), key),
                None => Part::InputSource(input.clone()),
            };
            self.loaded.places.part(&node.id, &part)
        };
        let asked: Vec<(bool, bool, Span, &str)> = node
            .inputs
            .iter()
            .flat_map(|(id, input)| {
                let logs = matches!(input.source, Source::Logs { .. });
                [
                    (logs, self.has.log_inputs, span(id, None), "an input from `dora/logs` is"),
                    (
                        input.input_timeout.is_some(),
                        self.has.input_timeout,
                        span(id, Some("input_timeout")),
                        "`input_timeout` is",
                    ),
                ]
            })
            .collect();
        for (asked, served, span, what) in asked {
            self.check(asked, served, span, what);
        }
    }
}
