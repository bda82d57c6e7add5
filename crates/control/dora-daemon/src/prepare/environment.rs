//! The environment of a node: what it inherits, what the dataflow file adds, what must not pass.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    env::{join_paths, split_paths},
    ffi::OsStr,
    path::Path,
};

use dora_descriptor::Node;

use super::{PrepareOptions, uv};
use crate::python::PythonModule;

/// Variables that a dataflow file must not set: they would change what code the node runs, or are between us and it.
const FORBIDDEN: &[&str] = &["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH"];
/// Variables of dora's own, which nodes do not inherit either.
const OWN: &[&str] = &[
    "DORA_AUTH_TOKEN",
    "DORA_ALLOW_SHELL_NODES",
    "DORA_NODE_CONFIG",
    "DORA_RUNTIME_CONFIG",
    "DORA_ZENOH_LISTEN",
    "DORA_ZENOH_LISTEN_EXTRA",
    "DORA_ZENOH_CONNECT",
    "DORA_ZENOH_MULTICAST",
    "DORA_ZENOH_CONFIG_OVERLAY",
    "ZENOH_CONFIG",
    "DORA_RUN_PARENT_PID",
];

fn is_own(name: &str) -> bool {
    OWN.contains(&name)
}

/// Why a dataflow file or a command line may not set this variable.
fn objection(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.contains(|c: char| c == '=' || c == '\0' || c.is_whitespace()) {
        Some("it is not the name of a variable")
    } else if is_own(name) {
        Some("it is dora's own")
    } else if FORBIDDEN.contains(&name) || name.starts_with("DYLD_") {
        Some("it changes which code a program loads; set it in the shell that starts `dora`")
    } else {
        None
    }
}

/// What all nodes have in common.
#[derive(Clone)]
pub(crate) struct Environment<'a> {
    inherited: BTreeMap<&'a str, Cow<'a, str>>,
    path: Option<Cow<'a, OsStr>>,
    shell_allowed: bool,
    /// Set if Python nodes are run by `uv run`, which gives them this module.
    uv_run: Option<&'a PythonModule>,
    overriding: Vec<(&'a str, &'a str)>,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(options: &'a PrepareOptions, warnings: &mut Vec<String>) -> Self {
        let mut inherited = BTreeMap::new();
        for (name, value) in &options.inherited_env {
            match (name.to_str(), value.to_str()) {
                (Some(name), Some(value)) if !is_own(name) => drop(inherited.insert(name, Cow::Borrowed(value))),
                (Some(_), Some(_)) => {}
                _ => warnings.push(format!("nodes do not get the variable {name:?}: it is not UTF-8")),
            }
        }
        let mut overriding = Vec::new();
        for (name, value) in &options.env {
            match objection(name) {
                Some(reason) => warnings.push(format!("the variable `{name}` is left out: {reason}")),
                None => overriding.push((name.as_str(), value.as_str())),
            }
        }
        let path = options
            .inherited_env
            .iter()
            .find(|(name, _)| name == "PATH")
            .map(|(_, value)| Cow::Borrowed(value.as_os_str()));
        let uv_run = options.uv.then_some(&options.python_module);
        Environment { inherited, path, shell_allowed: options.allow_shell, uv_run, overriding }
    }

    /// The same with the Python environment of a node activated, if it has one; `dir` is where everything of it starts.
    pub(crate) fn for_node(&self, node: &Node, dir: &Path) -> Self {
        let Some(python) = self.uv_run.and_then(|_| uv::environment(node, dir)) else { return self.clone() };
        let first = python.join("bin");
        let rest = self.path.iter().flat_map(|path| split_paths(path));
        let mut activated = self.clone();
        activated.uv_run = None;
        // A directory with a colon in its name cannot be searched, so there is nothing to activate then.
        if let Ok(path) = join_paths(std::iter::once(first).chain(rest)) {
            activated.inherited.insert("PATH", Cow::Owned(path.to_string_lossy().into_owned()));
            activated.inherited.insert("VIRTUAL_ENV", Cow::Owned(python.to_string_lossy().into_owned()));
            activated.path = Some(Cow::Owned(path));
        }
        activated
    }

    /// Set if Python nodes are run by `uv run`: the module that they get.
    pub(super) fn uv_run(&self) -> Option<&'a PythonModule> {
        self.uv_run
    }

    /// A variable of the one who starts the dataflow.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.inherited.get(name).map(Cow::as_ref)
    }

    /// Where programs without a directory are looked for.
    pub(crate) fn search_path(&self) -> Option<&OsStr> {
        self.path.as_deref()
    }

    /// Whether nodes may be command lines for a shell.
    pub(super) fn shell_allowed(&self) -> bool {
        self.shell_allowed
    }

    /// Everything that one node gets.
    pub(crate) fn of(&self, node: &Node, warnings: &mut Vec<String>) -> Vec<(String, String)> {
        let mut all = self.inherited.clone();
        // Lines of Python nodes must not wait in a buffer; harmless to all others.
        all.entry("PYTHONUNBUFFERED").or_insert(Cow::Borrowed("1"));
        for (name, value) in &node.env {
            match objection(name) {
                Some(reason) => {
                    warnings.push(format!("node `{}`: the variable `{name}` is left out: {reason}", node.id));
                }
                None => drop(all.insert(name, Cow::Borrowed(value))),
            }
        }
        all.extend(self.overriding.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))));
        all.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objections() {
        for bad in ["", "A=B", "A B", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "DORA_NODE_CONFIG", "ZENOH_CONFIG"] {
            assert!(objection(bad).is_some(), "{bad}");
        }
        for good in ["A", "RUST_LOG", "DORA_ZERO_COPY_THRESHOLD", "LD_RUN_PATH", "PATH"] {
            assert!(objection(good).is_none(), "{good}");
        }
    }
}
