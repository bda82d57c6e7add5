//! Starts other programs in the repository root, showing each command line before it runs.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::report::{Outcome, Trouble};
use crate::workspace;

/// A command line: the program, its arguments, and what it adds to the environment.
///
/// Always runs in the repository root with its binaries under `target/`, where the dataflow files of the examples look for them.
pub struct Shell {
    command: Command,
    line: String,
}

impl Shell {
    /// Starts with a program and arguments separated by spaces, as one would type them.
    pub fn new(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let mut shell = Self::program(words.next().unwrap_or_default());
        for word in words {
            shell = shell.arg(word);
        }
        shell
    }

    /// Starts with a program that is one word, blanks included.
    pub fn program(program: impl AsRef<OsStr>) -> Self {
        let root = workspace::root();
        let mut command = Command::new(program.as_ref());
        command.env("CARGO_TARGET_DIR", root.join("target")).current_dir(root);
        Self { command, line: readable(program.as_ref()) }
    }

    /// Adds one argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument.as_ref());
        self.line = format!("{} {}", self.line, readable(argument.as_ref()));
        self
    }

    /// Adds several arguments.
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(self, arguments: I) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Sets one environment variable.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self.line = format!("{key}={} {}", readable(OsStr::new(value)), self.line);
        self
    }

    /// Shows the command line, runs it on this terminal, and waits for it.
    ///
    /// Fails if the program cannot be started or does not exit with 0.
    pub fn run(self) -> Outcome {
        let mut shell = self.shown();
        let status = shell
            .command
            .status()
            .map_err(|error| Trouble::Failed(format!("cannot start `{}`: {error}", shell.line)))?;
        if status.success() { Ok(()) } else { Err(Trouble::Failed(format!("`{}`: {status}", shell.line))) }
    }

    /// Shows the command line, as [`run`](Self::run) does by itself.
    pub fn shown(self) -> Self {
        println!("$ {}", self.line);
        self
    }

    /// Runs it silently: whether it could be started and exited with 0.
    pub fn succeeds(mut self) -> bool {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.command.status().is_ok_and(|status| status.success())
    }

    /// Runs it on this terminal and returns its exit code.
    pub fn exit_code(mut self) -> Result<i32, Trouble> {
        let status = self.command.status();
        let code = status.map_err(|error| Trouble::Failed(format!("cannot start `{}`: {error}", self.line)))?.code();
        code.ok_or_else(|| Trouble::Failed(format!("`{}` was killed", self.line)))
    }

    /// Runs it silently and returns what it wrote to stdout.
    pub fn output(mut self) -> Result<String, String> {
        let output = self.command.output().map_err(|error| format!("cannot start `{}`: {error}", self.line))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("`{}`: {}\n{}", self.line, output.status, String::from_utf8_lossy(&output.stderr)))
        }
    }
}

/// Where a release binary lies once it is built.
pub fn release_binary(name: &str) -> PathBuf {
    workspace::root().join("target").join("release").join(name)
}

/// A word as one would type it: relative to the repository root, quoted if it has blanks.
fn readable(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let root = format!("{}/", workspace::root().display());
    let text = text.strip_prefix(&root).unwrap_or(&text);
    if text.is_empty() || text.contains(char::is_whitespace) { format!("'{text}'") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed() {
        let shell = Shell::new("cargo build").arg(release_binary("dora")).arg("a b").env("KEY", "v w");
        assert_eq!(shell.line, "KEY='v w' cargo build target/release/dora 'a b'");
    }

    #[test]
    fn the_exit_status_decides() {
        assert!(Shell::new("true").succeeds());
        assert!(!Shell::new("false").succeeds());
        assert!(!Shell::new("no-such-program-anywhere").succeeds());
        assert!(Shell::new("false").output().is_err());
        assert_eq!(Shell::new("echo hello").output().as_deref(), Ok("hello\n"));
    }
}
