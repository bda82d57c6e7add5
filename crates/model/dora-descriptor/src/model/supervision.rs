//! When a node is started again, when it counts as stuck, what happens to its lines of text.

use std::time::Duration;

use dora_message::id::DataId;
use serde::{Deserialize, Serialize};

use super::LogLevel;

/// Which exits of a node lead to a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// None.
    #[default]
    Never,
    /// An exit code other than 0, or a signal.
    OnFailure,
    /// All.
    Always,
}

impl RestartPolicy {
    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

/// Whether and when a node is started again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRules {
    /// Which exits lead to a restart.
    pub policy: RestartPolicy,
    /// Restarts at most, counted in `window` if there is one; 0 means no limit.
    pub max_restarts: u32,
    /// Wait before the first restart; doubles with each one.
    pub delay: Option<Duration>,
    /// The longest wait.
    pub max_delay: Option<Duration>,
    /// Time after which restarts are no longer counted.
    pub window: Option<Duration>,
}

/// How long a node may take or be silent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRules {
    /// Silence after which a connected node is killed.
    pub health_check_timeout: Option<Duration>,
    /// Time in which a started node must connect.
    pub startup_timeout: Option<Duration>,
    /// Time that the node has to end after its inputs ended.
    pub finish_grace: Option<Duration>,
}

/// What happens to the lines a node writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRules {
    /// Output that carries each line of standard output and standard error.
    pub send_stdout_as: Option<DataId>,
    /// Output that carries each structured log entry.
    pub send_logs_as: Option<DataId>,
    /// The least severe level that is kept.
    pub min_level: Option<LogLevel>,
    /// Bytes after which the log file is rotated.
    pub max_size: Option<u64>,
    /// Rotated files that are kept, 1 to 100; [`DEFAULT_ROTATED_FILES`](super::DEFAULT_ROTATED_FILES) if none.
    pub max_rotated_files: Option<u32>,
}
