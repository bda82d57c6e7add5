//! `cargo xtask check-deps`: which crate may depend on which, and where `unsafe` may be.
//!
//! The rules are those of ARCHITECTURE.md, as data at the top of this file. Dependencies of tests are free.

use std::path::Path;

use crate::workspace::{self, Package};

/// The directories of `crates/`, in order: a crate may depend on its own layer and on those before it.
const LAYERS: [&str; 6] = ["model", "rpc", "dataplane", "control", "node", "app"];

/// Pairs of layers that do not meet although the order would allow it: what runs in a user's process is free of both.
const NEVER: [(&str, &str); 2] = [("node", "rpc"), ("node", "control")];

/// Crates of one layer that meet only in their gateways.
const STRANGERS: [(&str, &str); 1] = [("dora-coordinator", "dora-daemon")];

/// Heavy or marked dependencies, and the directories that are their only homes.
const HOMES: [(&str, &[&str]); 11] = [
    ("clap", &["crates/app/dora-cli", "xtask", "benches"]),
    ("pyo3", &["apis/python"]),
    ("zenoh", &["crates/dataplane/dora-bridge"]),
    ("redb", &["crates/control/dora-store"]),
    // What crosses a connection between components, and who is trusted on it.
    ("rmp-serde", &["crates/rpc/dora-rpc"]),
    ("tokio-rustls", &["crates/rpc/dora-rpc"]),
    ("rcgen", &["crates/rpc/dora-rpc"]),
    ("ureq", &["crates/control/dora-daemon"]),
    ("imageproc", &["examples"]),
    // Below the command line, errors are enums. The conversions and the Rust API have eyre in their public signatures.
    ("eyre", &["crates/model/dora-arrow-convert", "apis", "crates/app", "examples", "tests", "benches"]),
    ("anyhow", &["examples", "tests", "benches"]),
];

/// The only places that may lift the ban on `unsafe`.
const UNSAFE_HOMES: [&str; 10] = [
    "crates/dataplane/dora-channel",
    "crates/control/dora-keeper",
    "crates/node/dora-node",
    // Arrays cross to Python through Arrow's C interface, and Python writes into memory by its buffer protocol.
    "apis/python/src/arrays.rs",
    "apis/python/src/sample.rs",
    // Arrays of one Arrow version become those of another one through Arrow's C interface.
    "crates/model/dora-arrow-convert/src/arrow_v58.rs",
    // The system's random numbers, replaced: one seed of a simulation is one history.
    "crates/control/dora-coordinator/tests/simulation/randomness.rs",
    // A node that forks, to see what its child may still do.
    "tests/src/bin/test-node/fork.rs",
    // A bare wake-up between two processes, to compare with.
    "benches/common/src/bare.rs",
    // The peers of the benchmarks are a workspace of their own, and measure bare system calls.
    "benches/peers",
];

/// Checks all rules and lists every violation.
pub fn run() -> Result<(), String> {
    let packages = workspace::packages()?;
    let mut violations = dependency_violations(&packages);
    for package in &packages {
        let manifest = std::fs::read_to_string(&package.manifest_path)
            .map_err(|error| format!("cannot read {}: {error}", package.manifest_path.display()))?;
        if !manifest.contains("[lints]\nworkspace = true") {
            violations.push(format!(
                "{} does not take the lints of the workspace: add `[lints] workspace = true`",
                package.name
            ));
        }
    }
    for file in workspace::files()? {
        let is_source = file.extension().is_some_and(|extension| extension == "rs" || extension == "toml");
        if is_source && let Some(text) = workspace::text(&file)? {
            violations.extend(unsafe_violation(&file, &text));
        }
    }
    if violations.is_empty() {
        println!("{} packages keep the dependency rules", packages.len());
        Ok(())
    } else {
        Err(format!("dependency rules are broken:\n  {}", violations.join("\n  ")))
    }
}

fn dependency_violations(packages: &[Package]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.is_for_tests()) {
            let reason = match packages.iter().find(|other| other.name == dependency.name) {
                Some(other) => between_ours(package, other),
                None => away_from_home(package, &dependency.name),
            };
            if let Some(reason) = reason {
                violations.push(format!("{} depends on {}: {reason}", package.name, dependency.name));
            }
        }
    }
    violations
}

/// Why one package of the workspace may not depend on another one; `None` if it may.
fn between_ours(package: &Package, other: &Package) -> Option<String> {
    let (from, to) = (package.directory(), other.directory());
    if from.starts_with("xtask") {
        return Some("xtask must build before anything else, so it needs none of our crates".to_owned());
    }
    if from.starts_with("examples") && !to.starts_with("apis") && !to.starts_with("examples") {
        return Some("an example uses what users use, which is in apis/".to_owned());
    }
    if STRANGERS.iter().any(|&(a, b)| [(a, b), (b, a)].contains(&(package.name.as_str(), other.name.as_str()))) {
        return Some("they meet only in dora-gateways".to_owned());
    }
    let (lower, upper) = (layer(from)?, layer(to));
    let Some(upper) = upper else {
        // The command line offers the Rust API as a library; nothing below it knows the APIs.
        return (LAYERS[lower] != "app")
            .then(|| format!("crates/{} does not know what lies outside of crates/", LAYERS[lower]));
    };
    if NEVER.contains(&(LAYERS[lower], LAYERS[upper])) {
        return Some(format!("{} must not know {}", LAYERS[lower], LAYERS[upper]));
    }
    (upper > lower).then(|| format!("the layer {} comes after {}", LAYERS[upper], LAYERS[lower]))
}

/// Why a package may not depend on a crate from outside; `None` if it may.
fn away_from_home(package: &Package, dependency: &str) -> Option<String> {
    let (_, homes) = HOMES.iter().find(|(name, _)| *name == dependency)?;
    let at_home = homes.iter().any(|home| package.directory().starts_with(home));
    (!at_home).then(|| format!("the only place for it is {}", homes.join(", ")))
}

/// The layer of a directory below `crates/`, as an index into [`LAYERS`].
fn layer(directory: &Path) -> Option<usize> {
    let name = directory.strip_prefix("crates").ok()?.iter().next()?;
    LAYERS.iter().position(|layer| name == *layer)
}

fn unsafe_violation(file: &Path, text: &str) -> Option<String> {
    let lifts =
        [concat!("allow(", "unsafe_code"), concat!("expect(", "unsafe_code"), concat!("unsafe_code = ", "\"allow\"")];
    let found = lifts.iter().any(|lift| text.contains(lift));
    let at_home = UNSAFE_HOMES.iter().any(|home| file.starts_with(home));
    (found && !at_home)
        .then(|| format!("{} allows unsafe code, which only {} may", file.display(), UNSAFE_HOMES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(directory: &str, dependencies: &[&str]) -> Package {
        let name = directory.rsplit('/').next().unwrap_or_default().to_owned();
        let dependencies =
            dependencies.iter().map(|name| Dependency { name: (*name).to_owned(), kind: None }).collect();
        let manifest_path = workspace::root().join(directory).join("Cargo.toml");
        Package { name, description: None, manifest_path, dependencies }
    }

    fn violations(directory: &str, dependency: &str) -> usize {
        let ours = [
            "crates/model/dora-message",
            "crates/rpc/dora-rpc",
            "crates/dataplane/dora-channel",
            "crates/control/dora-daemon",
            "crates/control/dora-coordinator",
            "crates/node/dora-node",
            "crates/app/dora-cli",
            "apis/rust/dora-node-api",
        ];
        let mut packages: Vec<_> =
            ours.iter().filter(|path| **path != directory).map(|path| package(path, &[])).collect();
        packages.push(package(directory, &[dependency]));
        dependency_violations(&packages).len()
    }

    #[test]
    fn layers_look_only_upwards() {
        assert_eq!(violations("crates/dataplane/dora-channel", "dora-message"), 0);
        assert_eq!(violations("crates/model/dora-message", "dora-channel"), 1);
        assert_eq!(violations("crates/app/dora-cli", "dora-node-api"), 0);
        assert_eq!(violations("crates/node/dora-node", "dora-node-api"), 1);
    }

    #[test]
    fn a_node_knows_neither_rpc_nor_control() {
        assert_eq!(violations("crates/node/dora-node", "dora-channel"), 0);
        assert_eq!(violations("crates/node/dora-node", "dora-rpc"), 1);
        assert_eq!(violations("crates/node/dora-node", "dora-daemon"), 1);
    }

    #[test]
    fn coordinator_and_daemon_are_strangers_both_ways() {
        assert_eq!(violations("crates/control/dora-coordinator", "dora-daemon"), 1);
        assert_eq!(violations("crates/control/dora-daemon", "dora-coordinator"), 1);
    }

    #[test]
    fn heavy_dependencies_stay_at_home() {
        assert_eq!(violations("crates/app/dora-cli", "clap"), 0);
        assert_eq!(violations("crates/node/dora-node", "clap"), 1);
        assert_eq!(violations("crates/node/dora-node", "eyre"), 1);
        assert_eq!(violations("apis/rust/dora-node-api", "eyre"), 0);
        assert_eq!(violations("apis/rust/dora-node-api", "serde"), 0);
        assert_eq!(violations("crates/control/dora-daemon", "tokio-rustls"), 1);
    }

    #[test]
    fn examples_are_written_like_a_users_node() {
        assert_eq!(violations("examples/hello", "dora-node-api"), 0);
        assert_eq!(violations("examples/hello", "dora-node"), 1);
        assert_eq!(violations("xtask", "dora-message"), 1);
    }

    #[test]
    fn unsafe_is_lifted_only_in_named_crates() {
        let lifted = concat!("#![allow(", "unsafe_code)]");
        assert!(unsafe_violation(Path::new("crates/app/dora-cli/src/main.rs"), lifted).is_some());
        assert!(unsafe_violation(Path::new("crates/node/dora-node/src/os.rs"), lifted).is_none());
        assert!(unsafe_violation(Path::new("crates/app/dora-cli/src/main.rs"), "unsafe").is_none());
    }
}
