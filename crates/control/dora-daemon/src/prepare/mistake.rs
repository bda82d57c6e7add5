//! What can be wrong with a dataflow on this machine although the file is in order.

use std::{fmt, path::PathBuf};

use dora_descriptor::Node;
use dora_message::id::NodeId;

/// All mistakes that were found, in the order of the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepareError {
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

impl std::error::Error for PrepareError {}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.mistakes.iter();
        if let Some(first) = lines.next() {
            first.fmt(f)?;
        }
        lines.try_for_each(|mistake| write!(f, "\n{mistake}"))
    }
}

/// A mistake and the node that has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}`: {problem}")]
pub struct Mistake {
    /// The node.
    pub node: NodeId,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The program is nowhere.
    #[error("the program `{path}` does not exist{}", looked_at(.looked, .hint))]
    ProgramMissing {
        /// As the file names it.
        path: String,
        /// Where it was looked for.
        looked: String,
        /// What may help.
        hint: Option<String>,
    },
    /// The program is there but cannot be executed.
    #[error("`{}` is not executable; `chmod +x` makes it so", program.display())]
    NotExecutable {
        /// The file.
        program: PathBuf,
    },
    /// The program is a directory.
    #[error("`{}` is a directory, not a program", program.display())]
    Directory {
        /// The directory.
        program: PathBuf,
    },
    /// The path names a variable that is not set.
    #[error("`path: {path}` names the environment variable `{name}`, which is not set; `export {name}=...` sets it")]
    UnsetVariable {
        /// As the file names it.
        path: String,
        /// The variable.
        name: String,
    },
    /// The arguments cannot be split.
    #[error("`args: {args}` has a quote without its partner")]
    Args {
        /// As the file has them.
        args: String,
    },
    /// It is a command line for a shell, and nobody has allowed that.
    #[error(
        "`path: shell` runs whatever the file says in a shell; `--allow-shell-nodes` or DORA_ALLOW_SHELL_NODES=true allows it"
    )]
    ShellNotAllowed,
    /// It is a Python file, and there is no Python.
    #[error("there is no Python 3 on the PATH to run it; activate its environment, or install python3")]
    NoPython,
    /// Python is wanted through `uv`, and there is none.
    #[error("there is no program `uv` on the PATH; install it, or leave `--uv` out")]
    NoUv,
    /// An environment that `uv` makes needs our module, and nobody knows where that is.
    #[error(
        "`--uv` gives it the module `dora` that speaks to this version, and there is no wheel of it (looked {looked}); \
         `cargo xtask wheel` in a clone of dora makes it, DORA_PYTHON_WHEEL names one that lies elsewhere"
    )]
    NoPythonModule {
        /// Where it was looked for.
        looked: String,
    },
    /// A path that is no text cannot be an argument.
    #[error("`{}` is not UTF-8; rename it", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// A build line cannot be split.
    #[error("the build line `{line}` has a quote without its partner")]
    BuildLine {
        /// The line.
        line: String,
    },
    /// Its source is elsewhere and was not brought here.
    #[error("its source is not here yet; `dora build` brings it")]
    NotBuilt,
    /// Its source is to be what a lock file says, and that says nothing about it.
    #[error(
        "the lock file does not say what `{url}` is, as the dataflow file asks for it now; \
         `dora build --write-lockfile` writes it anew"
    )]
    NotPinned {
        /// The source.
        url: String,
        /// The key of the node that names it.
        key: &'static str,
    },
    /// The working directory is not there.
    #[error("the working directory `{}` does not exist", dir.display())]
    WorkingDir {
        /// The directory.
        dir: PathBuf,
    },
    /// Its rotated log files and the log file of another node would have the same name.
    #[error(
        "its rotated log files would take the name of the log file of node `{other}`; give one of the two another id"
    )]
    LogNames {
        /// The other node.
        other: NodeId,
    },
    /// This version cannot run it.
    #[error("{what} is not served by this version of dora yet")]
    NotServed {
        /// What cannot be run.
        what: String,
    },
}

impl Problem {
    /// Nobody knows where the module is, which was looked for there.
    pub(crate) fn no_python_module(looked: &str) -> Self {
        Problem::NoPythonModule { looked: looked.to_owned() }
    }

    /// The key of the node that it is about.
    pub fn key(&self) -> &'static str {
        match self {
            Problem::Args { .. } => "args",
            Problem::BuildLine { .. } => "build",
            Problem::WorkingDir { .. } => "deploy",
            Problem::LogNames { .. } => "max_log_size",
            Problem::NotPinned { key, .. } => key,
            _ => "path",
        }
    }
}

fn looked_at(looked: &str, hint: &Option<String>) -> String {
    match hint {
        Some(hint) => format!(" (looked {looked}); {hint}"),
        None => format!(" (looked {looked})"),
    }
}

/// Collects mistakes.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Notes a mistake; `None`, for the value that could not be made.
    pub(crate) fn add<T>(&mut self, node: &Node, problem: Problem) -> Option<T> {
        self.0.push(Mistake { node: node.id.clone(), problem });
        None
    }
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
    pub(crate) fn into_result(self) -> Result<(), PrepareError> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(PrepareError { mistakes: self.0 }),
        }
    }
}
