//! uv, which makes environments of Python and installs packages into them.
//!
//! Fetched once, by hash, and kept under `target/uv`: a Python without pip and venv will do. Nothing of the machine changes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{Outcome, Trouble};
use crate::shell::Shell;
use crate::workspace;

const VERSION: &str = "0.13.9";

/// The wheel for each kind of machine, by its SHA-256.
const WHEELS: [(&str, &str); 2] = [
    ("x86_64", "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19"),
    ("aarch64", "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe"),
];

/// Fetches a wheel with any Python 3; tells by this exit code that it could not be had.
const FETCH: &str = include_str!("fetch_wheel.py");
const NOT_TO_BE_HAD: i32 = 3;

/// The public index, for machines that name no other one. In two pieces: it is the one text that must name it.
const INDEX: &str = concat!("https://pypi", ".org/simple");

/// Variables by which pip and uv are told of another index.
const INDEX_VARIABLES: [&str; 3] = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"];

/// The program, fetched if it is not there yet.
pub fn program() -> Result<PathBuf, Trouble> {
    let directory = workspace::root().join("target").join("uv").join(VERSION);
    let program = directory.join(format!("uv-{VERSION}.data/scripts/uv"));
    if program.is_file() {
        return Ok(program);
    }
    let wheel = WHEELS.iter().find(|(machine, _)| *machine == std::env::consts::ARCH);
    let (_, sha256) = wheel.ok_or_else(|| {
        Trouble::NotPossible(format!("there is no uv {VERSION} by hash for {}", std::env::consts::ARCH))
    })?;
    let partial = directory.with_extension("partial");
    workspace::start_afresh(&partial)?;
    println!("fetching uv {VERSION}, once:");
    fetch(&partial, sha256)?;
    // Renamed as the last step: whoever is interrupted before it starts again.
    workspace::remove(&directory)?;
    fs::rename(&partial, &directory).map_err(|error| format!("cannot rename {}: {error}", partial.display()))?;
    Ok(program)
}

fn fetch(directory: &Path, sha256: &str) -> Outcome {
    let python = ["python3", "python"].into_iter().find(|python| Shell::program(python).args(["-c", ""]).succeeds());
    let python = python.ok_or_else(|| Trouble::NotPossible("there is no Python 3 on the PATH".to_owned()))?;
    let index = INDEX_VARIABLES.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| INDEX.to_owned());
    let arguments = ["-c", FETCH, &index, "uv"];
    match Shell::program(python).args(arguments).arg(directory).arg(sha256).exit_code()? {
        0 => Ok(()),
        NOT_TO_BE_HAD => Err(Trouble::NotPossible("uv cannot be fetched; is there a network?".to_owned())),
        code => Err(Trouble::Failed(format!("uv {VERSION} was not fetched (exit code {code})"))),
    }
}

/// An environment of Python with packages, under `target/python`.
pub struct Environment {
    uv: PathBuf,
    directory: PathBuf,
}

impl Environment {
    /// An environment of this name with the packages that a file lists, which is relative to the root. Needs the network
    /// the first time, and when the file changes.
    pub fn with(name: &str, requirements: &str) -> Result<Self, Trouble> {
        let environment = Self { uv: program()?, directory: directory().join(name) };
        let wanted = fs::read(workspace::root().join(requirements))
            .map_err(|error| format!("cannot read {requirements}: {error}"))?;
        let installed = environment.directory.join("requirements.txt");
        if fs::read(&installed).is_ok_and(|found| found == wanted) {
            return Ok(environment);
        }
        environment.make()?;
        environment.install().args(["--requirement", requirements]).shown().output().map_err(|error| {
            Trouble::NotPossible(format!(
                "the packages in {requirements} cannot be installed; is there a network?\n{error}"
            ))
        })?;
        fs::write(&installed, wanted).map_err(|error| format!("cannot write {}: {error}", installed.display()))?;
        Ok(environment)
    }

    /// A new environment of this name with nothing in it.
    pub fn empty(name: &str) -> Result<Self, Trouble> {
        let environment = Self { uv: program()?, directory: directory().join(name) };
        environment.make()?;
        Ok(environment)
    }

    fn make(&self) -> Outcome {
        let uv = Shell::program(&self.uv).args(["venv", "--quiet", "--clear", "--python", ">=3.11"]);
        uv.arg(&self.directory).shown().output().map(|_quiet| ()).map_err(|error| {
            Trouble::NotPossible(format!("the module needs Python 3.11 or newer, and there is none: {error}"))
        })
    }

    /// The start of a command line that installs packages into it.
    pub fn install(&self) -> Shell {
        Shell::program(&self.uv).args(["pip", "install", "--quiet", "--python"]).arg(self.python())
    }

    /// A program in it.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }

    /// Its interpreter.
    pub fn python(&self) -> PathBuf {
        self.program("python")
    }

    /// A search path on which its programs are found first.
    pub fn search_path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}", self.directory.join("bin").display())
    }
}

/// Where wheels and environments are kept.
pub fn directory() -> PathBuf {
    workspace::root().join("target").join("python")
}
