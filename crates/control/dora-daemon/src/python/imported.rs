//! Whose module `dora` a node imports: asked when a node has failed without a word to its keeper.
//!
//! The module that the public index has under the name `dora-rs` fails in any case when it reads how its keeper is to be
//! reached, so nothing needs to be asked before the start.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use dora_message::supervision::NodePlan;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
    time::Timespec,
};

use super::{Interpreter, interpreter};

/// Imports nothing but what finds modules. Only our module calls the command `dora`.
const PROBE: &str = "\
import importlib.metadata, importlib.util, os, sys
sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[1]))
spec = importlib.util.find_spec('dora')
places = list(spec.submodule_search_locations or [os.path.dirname(spec.origin)]) if spec else []
ours = any(os.path.exists(os.path.join(place, 'command.py')) for place in places)
version = ''
for found in importlib.metadata.distributions(name='dora-rs'):
    if spec and spec.origin and os.path.realpath(str(found.locate_file('dora/__init__.py'))) == os.path.realpath(spec.origin):
        version = found.version
print(sys.executable)
print('pip' if importlib.util.find_spec('pip') else '')
print('ours' if ours else 'none' if spec is None else 'stranger')
print(version)
print((spec.origin or places[0]) if spec else '')
";

/// An interpreter needs some milliseconds; one that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the interpreter of a node imports as `dora`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The interpreter itself, behind whatever called it.
    pub python: PathBuf,
    /// Whether it has pip.
    pub has_pip: bool,
    /// What is wrong with the module; nothing if it is ours.
    pub stranger: Option<Stranger>,
}

/// A module that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranger {
    /// There is none.
    None,
    /// Another one, which cannot speak to our keepers.
    Module {
        /// Its file.
        file: PathBuf,
        /// The version of its distribution, if it belongs to one.
        version: Option<String>,
    },
}

/// Asks the interpreter of a node. `None` if the node is no Python or does not answer.
pub fn imported(plan: &NodePlan) -> Option<Imported> {
    let Interpreter { program, file, .. } = interpreter(plan)?;
    let mut probe = Command::new(program);
    probe.args(["-c".as_ref(), PROBE.as_ref(), file.as_os_str()]);
    probe.env_clear().envs(plan.env.iter().map(|(key, value)| (key, value))).current_dir(&plan.working_dir);
    parse(&output(probe)?)
}

/// What a program prints, unless it fails or takes too long.
fn output(mut command: Command) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    if !ends_in_time(&child) {
        let _ = child.kill();
    }
    let succeeded = child.wait().is_ok_and(|status| status.success());
    let mut stdout = child.stdout.take().filter(|_| succeeded)?;
    // It is shorter than a pipe is deep, so all of it is there; whoever else holds the pipe open is not waited for.
    rustix::io::ioctl_fionbio(&stdout, true).ok()?;
    let mut bytes = Vec::new();
    let _ = stdout.read_to_end(&mut bytes);
    String::from_utf8(bytes).ok()
}

fn ends_in_time(child: &Child) -> bool {
    let Ok(pidfd) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) else { return false };
    let Ok(patience) = Timespec::try_from(PATIENCE) else { return false };
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience)) == Ok(1)
}

fn parse(text: &str) -> Option<Imported> {
    let mut lines = text.lines();
    let (python, pip, kind, version, file) =
        (lines.next()?, lines.next()?, lines.next()?, lines.next()?, lines.next().unwrap_or_default());
    let version = Some(version.to_owned()).filter(|version| !version.is_empty());
    let stranger = match kind {
        "ours" => None,
        "none" => Some(Stranger::None),
        _ => Some(Stranger::Module { file: Path::new(file).to_owned(), version }),
    };
    Some(Imported { python: python.into(), has_pip: pip == "pip", stranger })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let shell = |line: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            output(command)
        };
        assert_eq!(shell("echo said; sleep 1000 & echo $!").and_then(|text| kill_last(&text)).as_deref(), Some("said"));
        assert_eq!(shell("echo said; exit 1"), None);
    }

    /// Ends the process whose number is in the second line; the first line.
    fn kill_last(text: &str) -> Option<String> {
        let (first, number) = text.split_once('\n')?;
        let process = Pid::from_raw(number.trim().parse().ok()?)?;
        rustix::process::kill_process(process, rustix::process::Signal::KILL).ok()?;
        Some(first.to_owned())
    }

    #[test]
    fn answers_are_understood() {
        let stranger = |text| parse(text).and_then(|imported| imported.stranger);
        let module =
            |version: Option<&str>| Stranger::Module { file: "/m".into(), version: version.map(str::to_owned) };
        assert_eq!(stranger("/p\npip\nstranger\n1.1.0\n/m\n"), Some(module(Some("1.1.0"))));
        assert_eq!(stranger("/p\n\nstranger\n\n/m\n"), Some(module(None)));
        assert_eq!(stranger("/p\n\nnone\n\n\n"), Some(Stranger::None));
        assert_eq!(parse("/p\npip\nours\n1.2.0\n/m\n").map(|ours| ours.stranger), Some(None));
        assert_eq!(parse("Traceback"), None);
    }
}
