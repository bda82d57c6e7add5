//! What a probe finds: one thing, how it is, what to do about it.

use serde::Serialize;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Dataflows run, but something may surprise.
    Warning,
    /// Dataflows do not run.
    Error,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The thing.
    pub(super) what: String,
    pub(super) status: Status,
    /// What was seen.
    pub(super) detail: String,
    /// What to do about it; nothing where all is well.
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), status: Status::Ok, detail: detail.into(), advice: None }
    }

    pub(super) fn warning(what: impl Into<String>, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), status: Status::Warning, detail: detail.into(), advice: Some(advice.into()) }
    }

    pub(super) fn error(what: impl Into<String>, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Error, ..Self::warning(what, detail, advice) }
    }
}

/// What belongs together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) findings: Vec<Finding>,
}
