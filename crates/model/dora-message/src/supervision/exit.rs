//! How a process of a node ended, and why the keeper thinks so.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ExitStatus {
    /// It returned this code.
    Code {
        /// The exit code.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// Number of the signal.
        signal: i32,
    },
    /// It could not be started.
    SpawnFailed {
        /// The reason, for people.
        error: String,
    },
}

impl ExitStatus {
    /// Whether it returned 0.
    pub fn is_success(&self) -> bool {
        *self == ExitStatus::Code { code: 0 }
    }
}

/// For people, to follow the name of a node: "exited with code 3", "was killed by SIGSEGV".
impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Code { code } => write!(f, "exited with code {code}"),
            ExitStatus::Signal { signal } => match signal_name(*signal) {
                Some(name) => write!(f, "was killed by {name}"),
                None => write!(f, "was killed by signal {signal}"),
            },
            ExitStatus::SpawnFailed { error } => write!(f, "could not be started: {error}"),
        }
    }
}

/// Name of a signal, for example `SIGSEGV` for 11. The numbers of Linux on x86, ARM and RISC-V.
pub fn signal_name(signal: i32) -> Option<&'static str> {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    NAMES.get(usize::try_from(signal).ok()?.checked_sub(1)?).copied()
}

/// Why the keeper thinks a node ended the way it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitCause {
    /// By itself.
    Own,
    /// It was asked to stop, and did, in time or by our SIGTERM.
    Stopped,
    /// The dataflow, or the node, was stopped while the node waited for its restart; the status is that of its last process.
    NotRestarted,
    /// It had to be killed because it did not stop in time.
    GraceExceeded,
    /// Another node failed before the start barrier.
    Cascading,
    /// It was ended because it took too long.
    Overdue(Overdue),
}

impl ExitCause {
    /// Whether a node that ended like this, for this reason, has failed while its peers go on.
    pub fn is_failure(self, status: &ExitStatus) -> bool {
        match self {
            ExitCause::Own => !status.is_success(),
            ExitCause::Overdue(_) | ExitCause::GraceExceeded => true,
            ExitCause::Stopped | ExitCause::NotRestarted | ExitCause::Cascading => false,
        }
    }
}

/// A limit of time that a node has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// What it took too long for.
    pub limit: Limit,
    /// How long it had, in milliseconds.
    pub ms: u64,
}

/// What a node may take too long for; the fields of [`Limits`](super::Limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// To connect.
    Startup,
    /// To call the API again.
    Health,
    /// To end after its inputs have.
    Finish,
}

/// For people, to follow the name of a node: "did not connect within 2s (startup_timeout)".
impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_millis(self.ms);
        match self.limit {
            Limit::Startup => write!(f, "did not connect within {time:?} (startup_timeout)"),
            Limit::Health => write!(f, "gave no sign of life for {time:?} (health_check_timeout)"),
            Limit::Finish => write!(f, "did not end within {time:?} after its inputs had ended (finish_grace_secs)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_as_sentences() {
        let overdue = Overdue { limit: Limit::Startup, ms: 2500 };
        assert_eq!(overdue.to_string(), "did not connect within 2.5s (startup_timeout)");
        let cause = ExitCause::Overdue(overdue);
        let json = serde_json::to_string(&cause).unwrap();
        assert_eq!(serde_json::from_str::<ExitCause>(&json).unwrap(), cause);
    }

    #[test]
    fn exits_read_as_sentences() {
        assert_eq!(ExitStatus::Code { code: 3 }.to_string(), "exited with code 3");
        assert_eq!(ExitStatus::Signal { signal: 11 }.to_string(), "was killed by SIGSEGV");
        assert_eq!(ExitStatus::Signal { signal: 40 }.to_string(), "was killed by signal 40");
        assert_eq!((signal_name(0), signal_name(-1), signal_name(32)), (None, None, None));
        assert_eq!(
            (signal_name(1), signal_name(15), signal_name(31)),
            (Some("SIGHUP"), Some("SIGTERM"), Some("SIGSYS"))
        );
    }
}
