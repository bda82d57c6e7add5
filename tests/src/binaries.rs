//! The programs under test. `dora` belongs to another package, so cargo does not build it for us.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Path of a `dora` to test instead of building one.
const GIVEN: &str = "DORA_TEST_BINARY";

/// The `dora` program, built with the profile of this test.
///
/// # Panics
/// When it cannot be built.
pub fn dora() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| std::env::var_os(GIVEN).map_or_else(build_dora, PathBuf::from))
}

/// The program that plays the nodes; it lies beside `dora`.
pub fn test_node() -> PathBuf {
    program_dir().join("dora-test-node")
}

/// The program that runs a dataflow through the library of `dora-cli`; it lies beside `dora` too.
pub fn test_runner() -> PathBuf {
    program_dir().join("dora-test-runner")
}

/// The nodes of the guide, under the names that they have there, and where they lie.
pub fn programs() -> Vec<(&'static str, PathBuf)> {
    let names = ["talker", "listener", "counter", "shout", "camera", "plot", "monitor"];
    names.map(|name| (name, program_dir().join(format!("guide-{name}")))).to_vec()
}

/// Where cargo builds what is tested; tests may keep what they build below it.
pub fn target_dir() -> PathBuf {
    program_dir().parent().map(Path::to_owned).unwrap_or_default()
}

fn build_dora() -> PathBuf {
    let directory = program_dir();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--package", "dora-cli", "--bin", "dora"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    if let Some(target) = directory.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    let status = cargo.status();
    assert!(matches!(&status, Ok(status) if status.success()), "dora cannot be built: {status:?}");
    directory.join("dora")
}

/// `target/debug` or `target/release`: the directory above that of this test program.
fn program_dir() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}
