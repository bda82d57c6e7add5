//! How `dora up` starts a process: detached, with a log, and waiting until it says that it is ready.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{instance::await_readable, started::READY};
use crate::{
    error::{CommandError, file_error},
    home::{self, Home},
};

/// How long a process may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of what a process has said is shown if it fails.
const LAST_LINES: usize = 12;

/// Starts `dora` with these arguments in the background and waits until it is ready; `directory` gets its log.
pub(crate) fn launch(home: &Home, directory: &Path, arguments: &[String]) -> Result<(), CommandError> {
    home::make_private(directory)?;
    let path = directory.join("log");
    let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
    let mut log = open().map_err(|error| file_error("write", &path, &error))?;
    let before = log.seek(SeekFrom::End(0)).map_err(|error| file_error("read", &path, &error))?;
    let verb = arguments.first().map_or("", String::as_str);
    let mut child = spawn(home, &log, arguments)
        .map_err(|error| CommandError::failed(format!("cannot start `dora {verb}`: {error}")))?;
    let why = match await_ready(&mut child) {
        Outcome::Ready => return Ok(()),
        Outcome::Ended => "ended before it was ready".to_owned(),
        Outcome::TooLate => {
            // Whoever comes next must not find it half alive.
            let _ = child.kill();
            format!("is not ready after {PATIENCE:?}")
        }
    };
    let _ = child.wait();
    let said = last_lines(&mut log, before);
    Err(CommandError::failed(format!("`dora {verb}` {why}{said}"))
        .with_hint(format!("all that it said is in {}", path.display())))
}

fn spawn(home: &Home, log: &File, arguments: &[String]) -> io::Result<Child> {
    // Survives an update of the program meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("dora").args(arguments).arg("--detached").current_dir(home.path());
    // What was relative to the directory of this command would mean another place in theirs.
    command.env(home::VARIABLE, home.path());
    // They say what commands mean, not what this process is told.
    for variable in ["DORA_COORDINATOR_ADDR", "DORA_COORDINATOR_PORT", "DORA_COORDINATOR_INTERFACE"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.try_clone()?).spawn()
}

/// What comes of a process that was started.
enum Outcome {
    Ready,
    Ended,
    TooLate,
}

fn await_ready(child: &mut Child) -> Outcome {
    let Some(pipe) = &mut child.stdout else { return Outcome::Ended };
    let mut said = [0; READY.len()];
    match await_readable(pipe, PATIENCE) {
        true if pipe.read_exact(&mut said).is_ok() && said == READY.as_bytes() => Outcome::Ready,
        true => Outcome::Ended,
        false => Outcome::TooLate,
    }
}

/// What was written to the log since then, the end of it, as lines of their own.
fn last_lines(log: &mut File, since: u64) -> String {
    let mut text = Vec::new();
    let _ = log.seek(SeekFrom::Start(since)).and_then(|_| log.read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    last.iter().map(|line| format!("\n  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_the_end_of_what_is_new_is_shown() {
        let mut log = tempfile::tempfile().expect("a file");
        write!(log, "old\n{}", "line\n".repeat(20)).expect("our own file");
        writeln!(log, "last").expect("our own file");
        assert_eq!(last_lines(&mut log, 4), "\n  line".repeat(LAST_LINES - 1) + "\n  last");
        assert_eq!(last_lines(&mut log, 104), "\n  last");
    }
}
