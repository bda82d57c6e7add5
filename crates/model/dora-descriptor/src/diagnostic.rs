//! Mistakes and warnings: what is wrong, where, what was expected, what to do.

use std::fmt;

use serde::Serialize;

use crate::{
    render,
    source::{Position, Sources, Span},
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The dataflow is usable.
    Warning,
    /// The dataflow is not usable.
    Error,
}

/// What kind of mistake it is. [`Code::as_str`] is stable, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The file cannot be read, is too large, or is not text.
    Unreadable,
    /// The file is not YAML, or uses YAML that is not allowed here.
    Syntax,
    /// A key that does not exist here.
    UnknownKey,
    /// A key that stands twice in one map.
    DuplicateKey,
    /// A key that must be there is not.
    MissingKey,
    /// Keys that exclude or need each other.
    Conflict,
    /// A value of the wrong type, or outside its range.
    InvalidValue,
    /// A text that is not an id.
    InvalidId,
    /// An id that stands twice.
    DuplicateId,
    /// A source of an input that has no meaning.
    InvalidSource,
    /// A source of an input that does not exist.
    UnknownSource,
    /// Edges that would wait for each other for ever.
    Cycle,
    /// An environment variable or a parameter that is not set, or a malformed reference to one.
    Variable,
    /// A module that cannot be used like this.
    Module,
    /// A type annotation that does not fit.
    Type,
    /// An old spelling, or a key without effect.
    Deprecated,
    /// A key that this implementation does not serve.
    Unsupported,
    /// Something that is allowed but hardly meant.
    Suspicious,
}

impl Code {
    /// The code as text, for example `unknown-key`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown-key",
            Self::DuplicateKey => "duplicate-key",
            Self::MissingKey => "missing-key",
            Self::Conflict => "conflict",
            Self::InvalidValue => "invalid-value",
            Self::InvalidId => "invalid-id",
            Self::DuplicateId => "duplicate-id",
            Self::InvalidSource => "invalid-source",
            Self::UnknownSource => "unknown-source",
            Self::Cycle => "cycle",
            Self::Variable => "variable",
            Self::Module => "module",
            Self::Type => "type",
            Self::Deprecated => "deprecated",
            Self::Unsupported => "unsupported",
            Self::Suspicious => "suspicious",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A piece of a file that a diagnostic points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The piece.
    pub span: Span,
    /// What to say about it; may be empty.
    pub text: String,
}

/// One mistake or warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of mistake it is.
    pub code: Code,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where; the first label is the place itself.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub(crate) fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            labels: vec![Label { span, text: String::new() }],
            help: None,
        }
    }

    /// A warning at `span`.
    pub(crate) fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Says something at the place itself.
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Points at another place.
    pub(crate) fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, if there is something to say.
    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// All that is wrong with a dataflow, together with the texts it points into.
///
/// Ordered by place: file by file as they were read, from top to bottom.
#[derive(Clone, Default)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    sources: Sources,
}

impl Diagnostics {
    pub(crate) fn new(mut items: Vec<Diagnostic>, sources: Sources) -> Self {
        items.sort_by_key(|item| item.labels.first().map(|label| label.span));
        // A module that is used twice has its mistakes once.
        let mut unique: Vec<Diagnostic> = Vec::with_capacity(items.len());
        for item in items {
            let place = |other: &Diagnostic| other.labels.first().map(|label| label.span);
            let same_place = unique.iter().rev().take_while(|other| place(other) == place(&item));
            if !same_place.into_iter().any(|other| *other == item) {
                unique.push(item);
            }
        }
        Self { items: unique, sources }
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of mistakes and warnings.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.error_count() > 0
    }

    /// Number of errors among them.
    pub fn error_count(&self) -> usize {
        self.items.iter().filter(|item| item.severity == Severity::Error).count()
    }

    /// The mistakes and warnings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.items.iter()
    }

    /// The texts they point into.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Each as plain values, for output as JSON.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.items.iter().map(|item| Record {
            severity: item.severity,
            code: item.code,
            message: &item.message,
            position: item.labels.first().map(|label| self.sources.position(label.span)),
            help: item.help.as_deref(),
        })
    }

    /// Everything as text with code frames, for people.
    ///
    /// `color` asks for ANSI colours; the caller knows whether it writes to a terminal.
    pub fn render(&self, color: bool) -> String {
        render::render(&self.items, &self.sources, color)
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// One diagnostic as plain values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of mistake it is.
    pub code: Code,
    /// What is wrong.
    pub message: &'a str,
    /// File, line and column.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// What to do about it.
    pub help: Option<&'a str>,
}
