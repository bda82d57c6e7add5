//! `cargo xtask wheel`: the wheel of the module `dora`, and that of the `dora` command, which carries the first one along.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{Outcome, Trouble};
use crate::shell::Shell;
use crate::uv::{self, Environment};
use crate::workspace;

/// What builds the wheels, and the versions of what their tests import; relative to the root.
pub const TOOLS: &str = "apis/python/tests/requirements.txt";

/// The module, relative to the root, and the beginning of its wheel's name.
const MODULE: Distribution = Distribution { package: "apis/python", name: "dora_rs-" };

/// The command, and the beginning of its wheel's name.
const COMMAND: Distribution = Distribution { package: "crates/app/dora-cli", name: "dora_rs_cli-" };

/// Where the pyproject.toml of the command looks for what is to be installed beside it. The command knows the rest of the
/// path: `share/dora` below the directory that programs are installed to.
const BESIDE_THE_COMMAND: &str = "command-data/data/share/dora";

/// The most bytes that a packed wheel may have.
const MAX_WHEEL: u64 = 10 * 1000 * 1000;

/// Something that is installed from a wheel.
struct Distribution {
    package: &'static str,
    name: &'static str,
}

/// Both wheels.
pub struct Wheels {
    /// `dora-rs`.
    pub module: PathBuf,
    /// `dora-rs-cli`.
    pub command: PathBuf,
}

/// Builds the wheels and says where they are and how large.
pub fn run() -> Outcome {
    build(&Environment::with("environment", TOOLS)?).map(|_| ())
}

/// Builds the wheels with the maturin of an environment.
pub fn build(environment: &Environment) -> Result<Wheels, Trouble> {
    let module = module(environment)?;
    let beside = uv::directory().join(BESIDE_THE_COMMAND);
    workspace::start_afresh(&beside)?;
    let copy = beside.join(module.file_name().unwrap_or_default());
    fs::copy(&module, &copy).map_err(|error| format!("cannot write {}: {error}", copy.display()))?;
    let command = COMMAND.build(environment)?;
    Ok(Wheels { module, command })
}

/// Builds only the wheel of the module.
pub fn module(environment: &Environment) -> Result<PathBuf, Trouble> {
    // What an earlier version was called is not to be taken for this one.
    workspace::start_afresh(&directory())?;
    MODULE.build(environment)
}

impl Distribution {
    fn build(&self, environment: &Environment) -> Result<PathBuf, Trouble> {
        let manifest = format!("{}/Cargo.toml", self.package);
        Shell::program(environment.program("maturin"))
            .args(["build", "--release", "--locked", "--quiet", "--compression-level", "9"])
            .args(["--manifest-path", &manifest, "--interpreter"])
            .arg(environment.python())
            .arg("--out")
            .arg(directory())
            .run()?;
        let wheel = self.find()?;
        let size = fs::metadata(&wheel).map_err(|error| format!("cannot look at {}: {error}", wheel.display()))?.len();
        println!("{}: {:.1} MB", wheel.display(), size as f64 / 1e6);
        if size > MAX_WHEEL {
            return Err(Trouble::Failed(format!("the wheel has {size} bytes; it should have {MAX_WHEEL} at most")));
        }
        Ok(wheel)
    }

    fn find(&self) -> Result<PathBuf, String> {
        let directory = directory();
        let entries =
            fs::read_dir(&directory).map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
        let is_wanted =
            |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(self.name));
        let mut paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        paths.find(|path| is_wanted(path)).ok_or_else(|| format!("maturin left no wheel in {}", directory.display()))
    }
}

/// Where the wheels are; the `dora` of a checkout looks for that of the module here.
fn directory() -> PathBuf {
    uv::directory().join("wheels")
}
