//! How a process of `dora up` begins: it leaves the terminal, and says when it is ready.
//!
//! Its standard output is a pipe to `dora up` until then, its standard error the log.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use dora_rpc::EndpointPanic;
use rustix::{io::Errno, process::setsid};

use crate::error::CommandError;

/// What `dora up` reads when the process is ready.
pub(super) const READY: &str = "ready\n";

/// Exit code after a panic, as that of any program.
const EXIT_PANIC: u8 = 101;

/// The end of a process one of whose endpoints has panicked: what it knows may be broken, and is not served.
pub(crate) fn panicked(panic: &EndpointPanic) -> ExitCode {
    eprintln!("{panic}");
    ExitCode::from(EXIT_PANIC)
}

/// How this process was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// By `dora up`.
    Detached,
    /// By somebody who looks at it.
    Attached { quiet: bool },
}

impl Started {
    /// Leaves the session of the terminal if nobody looks.
    pub(crate) fn begin(detached: bool, quiet: bool) -> Result<Self, CommandError> {
        if !detached {
            return Ok(Self::Attached { quiet });
        }
        match setsid() {
            // Who leads a group of processes already has left it.
            Ok(_) | Err(Errno::PERM) => Ok(Self::Detached),
            Err(error) => Err(CommandError::failed(format!("cannot leave the terminal: {error}"))),
        }
    }

    /// Says that everything that was asked for works now; `lines` are for people.
    pub(crate) fn ready(self, lines: &[String]) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        match self {
            Self::Attached { quiet } => {
                for line in lines.iter().filter(|_| !quiet) {
                    // Nobody may be listening.
                    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
                }
                Ok(())
            }
            Self::Detached => {
                let _ = stdout.write_all(READY.as_bytes()).and_then(|()| stdout.flush());
                lines.iter().for_each(|line| eprintln!("{line}"));
                // From here on whoever reads the pipe sees its end.
                rustix::stdio::dup2_stdout(io::stderr())
                    .map_err(|error| CommandError::failed(format!("cannot give standard output away: {error}")))
            }
        }
    }
}
