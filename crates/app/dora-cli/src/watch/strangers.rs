//! Nodes in Python that failed because what they import as `dora` is not our module: which file that is, and what mends it.

use std::collections::BTreeMap;

use dora_daemon::{Imported, NodeResult, PythonModule, Stranger, imported, interpreter};
use dora_gateways::NodeOutcome;
use dora_message::supervision::LaunchPlan;

use crate::python_module;

/// What Python says when there is no module at all.
const NO_MODULE: &str = "No module named 'dora'";

/// Also where the other module has our version; what it needs is there, in versions that other packages may depend on.
const REPLACE: &str = "--force-reinstall --no-deps ";

/// For each wrong module what is wrong, with the nodes that import it, and what mends it.
pub(super) fn found(failures: &[&NodeOutcome], plans: &[LaunchPlan]) -> Vec<(String, String)> {
    let mut asked = BTreeMap::new();
    let mut groups: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    // Who has spoken to its keeper has our module.
    let silent = failures.iter().filter(|node| node.never_connected && matches!(node.result, NodeResult::Failed(_)));
    for node in silent {
        let Some(of_plan) = plans.iter().flat_map(|plan| &plan.nodes).find(|other| other.id == node.node) else {
            continue;
        };
        let Some(interpreter) = interpreter(of_plan) else { continue };
        // Many nodes of one directory and one environment are asked about once.
        let place = (interpreter.program, interpreter.file.parent().map(ToOwned::to_owned));
        let answer = asked.entry(place).or_insert_with(|| imported(of_plan));
        let misses_it = node.last_stderr.iter().any(|line| line.contains(NO_MODULE));
        if let Some(words) = answer.as_ref().and_then(|answer| words(answer, misses_it, &python_module::find())) {
            groups.entry(words).or_default().push(node.node.as_str());
        }
    }
    groups
        .into_iter()
        .map(|((what, hint), nodes)| (format!("In {}, `import dora` {what}", names(&nodes)), hint))
        .collect()
}

/// What is wrong and what mends it. That a program has no module matters only if it misses it.
fn words(imported: &Imported, misses_it: bool, module: &PythonModule) -> Option<(String, String)> {
    let python = imported.python.display();
    match imported.stranger.as_ref()? {
        Stranger::None if !misses_it => None,
        Stranger::None => {
            Some((format!("finds nothing: {python} has no such module"), install(imported, module, "", "brings it")))
        }
        Stranger::Module { file, version: Some(version) } => {
            let what = format!("finds version {version} in {}, which cannot speak to this dora", file.display());
            Some((what, install(imported, module, REPLACE, "replaces it")))
        }
        Stranger::Module { file, version: None } => {
            let what = format!("finds {}, which belongs to no package and is not the module of dora", file.display());
            Some((what, "rename it if it is yours: it hides the module".to_owned()))
        }
    }
}

/// The command that installs our module, and what that does.
fn install(imported: &Imported, module: &PythonModule, flags: &str, does: &str) -> String {
    let python = imported.python.display();
    match module.wheel() {
        Ok(wheel) if imported.has_pip => {
            format!("`{python} -m pip install {flags}{}` {does}", wheel.display())
        }
        Ok(wheel) => format!("`uv pip install --python {python} {flags}{}` {does}", wheel.display()),
        Err(looked) => format!(
            "installing the module of this version into {python} {does}; there is no wheel of it (looked {looked}): \
             `cargo xtask wheel` in a clone of dora makes it"
        ),
    }
}

/// "node `a`", "nodes `a`, `b`".
fn names(nodes: &[&str]) -> String {
    let names: Vec<_> = nodes.iter().map(|node| format!("`{node}`")).collect();
    format!("{} {}", if nodes.len() == 1 { "node" } else { "nodes" }, names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stranger: Stranger, has_pip: bool, misses_it: bool) -> Option<(String, String)> {
        let imported = Imported { python: "/env/bin/python".into(), has_pip, stranger: Some(stranger) };
        words(&imported, misses_it, &PythonModule::Wheel("/w/dora_rs.whl".into()))
    }

    #[test]
    fn file_version_and_command_are_named() {
        let module = |version: Option<&str>| Stranger::Module {
            file: "/env/dora/__init__.py".into(),
            version: version.map(str::to_owned),
        };
        let (what, hint) = told(module(Some("1.1.0")), true, false).expect("wrong");
        assert_eq!(what, "finds version 1.1.0 in /env/dora/__init__.py, which cannot speak to this dora");
        assert_eq!(hint, "`/env/bin/python -m pip install --force-reinstall --no-deps /w/dora_rs.whl` replaces it");
        assert!(told(module(Some("1.1.0")), false, false).expect("wrong").1.starts_with("`uv pip install --python"));
        assert!(told(module(None), true, false).expect("wrong").1.contains("rename it"));
        assert_eq!(told(Stranger::None, true, false), None);
        let hint = told(Stranger::None, true, true).expect("wrong").1;
        assert_eq!(hint, "`/env/bin/python -m pip install /w/dora_rs.whl` brings it");
        assert_eq!((names(&["a"]), names(&["a", "b"])), ("node `a`".to_owned(), "nodes `a`, `b`".to_owned()));
    }
}
