//! Python: the wheel of the module `dora`, an environment to test it in, its tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{Outcome, Trouble};
use crate::shell::{Shell, release_binary};
use crate::workspace;

/// The Python package, relative to the root.
const PACKAGE: &str = "apis/python";

/// What builds the wheel, and the versions of what its tests import; relative to the root.
const TOOLS: &str = "apis/python/tests/requirements.txt";

/// The most bytes that a packed wheel may have.
const MAX_WHEEL: u64 = 10 * 1000 * 1000;

/// `cargo xtask wheel`: builds the wheel and says where it is and how large.
pub fn run() -> Outcome {
    wheel(&environment()?).map(|_| ())
}

/// Installs the wheel into an environment of its own and runs the tests of the module with it, and its example.
pub fn test() -> Outcome {
    let python = environment()?;
    let wheel = wheel(&python)?;
    pip(&python).args(["--no-deps", "--force-reinstall"]).arg(wheel).run()?;
    let dora = release_binary("dora");
    Shell::program(&python)
        .args(["-W", "error::ResourceWarning", "-m", "unittest", "discover", "--start-directory"])
        .arg(format!("{PACKAGE}/tests"))
        .env("DORA_TEST_BINARY", &dora.display().to_string())
        .run()?;
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", python.parent().unwrap_or(&python).display());
    Shell::program(dora).args(["run", "examples/python-hello/dataflow.yml"]).env("PATH", &path).run()
}

/// The interpreter of an environment that has what the wheel and its tests need. Needs the network the first time, and
/// when the requirements change.
fn environment() -> Result<PathBuf, Trouble> {
    let directory = directory().join("environment");
    let python = directory.join("bin").join("python");
    let wanted = fs::read(workspace::root().join(TOOLS)).map_err(|error| format!("cannot read {TOOLS}: {error}"))?;
    let installed = directory.join("requirements.txt");
    if fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    Shell::program(interpreter()?).args(["-m", "venv", "--clear"]).arg(&directory).shown().output().map_err(
        |error| {
            let hint = "`apt install python3-venv` on Debian and Ubuntu";
            Trouble::NotPossible(format!("Python cannot make an environment ({hint}): {error}"))
        },
    )?;
    pip(&python).args(["--requirement", TOOLS]).shown().output().map_err(|error| {
        Trouble::NotPossible(format!("the packages in {TOOLS} cannot be installed; is there a network?\n{error}"))
    })?;
    fs::write(&installed, wanted).map_err(|error| format!("cannot write {}: {error}", installed.display()))?;
    Ok(python)
}

/// Builds the wheel.
fn wheel(python: &Path) -> Result<PathBuf, Trouble> {
    let directory = directory().join("wheels");
    let manifest = format!("{PACKAGE}/Cargo.toml");
    // What an earlier version was called is not to be taken for this one.
    let _ = fs::remove_dir_all(&directory);
    Shell::program(python)
        .args(["-m", "maturin", "build", "--release", "--locked", "--quiet", "--manifest-path", &manifest, "--out"])
        .arg(&directory)
        .run()?;
    let wheel = only_file(&directory)?;
    let size = fs::metadata(&wheel).map_err(|error| format!("cannot look at {}: {error}", wheel.display()))?.len();
    println!("{}: {:.1} MB", wheel.display(), size as f64 / 1e6);
    if size > MAX_WHEEL {
        return Err(Trouble::Failed(format!("the wheel has {size} bytes; it should have {MAX_WHEEL} at most")));
    }
    Ok(wheel)
}

fn only_file(directory: &Path) -> Result<PathBuf, String> {
    let mut entries =
        fs::read_dir(directory).map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
    let wheel = entries.next().and_then(|entry| entry.ok().map(|entry| entry.path()));
    wheel.ok_or_else(|| format!("maturin left no wheel in {}", directory.display()))
}

fn pip(python: &Path) -> Shell {
    Shell::program(python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
}

/// A Python that the module supports.
fn interpreter() -> Result<&'static str, Trouble> {
    let probe = "import sys, venv; sys.exit(sys.version_info < (3, 11))";
    let is_recent = |python: &&str| Shell::program(python).args(["-c", probe]).succeeds();
    ["python3", "python", "python3.13", "python3.12", "python3.11"]
        .into_iter()
        .find(is_recent)
        .ok_or_else(|| Trouble::NotPossible("the module needs Python 3.11 or newer".to_owned()))
}

fn directory() -> PathBuf {
    workspace::root().join("target").join("python")
}
