//! Where mistakes are collected.

use crate::diagnostic::{Code, Diagnostic, Severity};

/// Mistakes that are kept. Whoever has more mends these first.
const MAX: usize = 200;

/// Collects mistakes and warnings.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    items: Vec<Diagnostic>,
    errors: usize,
}

impl Sink {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.errors += 1;
        }
        if self.items.len() < MAX || (diagnostic.severity == Severity::Error && self.errors == 1) {
            self.items.push(diagnostic);
        }
    }

    /// Errors so far, those included that were too many to keep.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Makes errors of all warnings of a kind.
    pub(crate) fn escalate(&mut self, code: Code) {
        for item in self.items.iter_mut().filter(|item| item.code == code && item.severity == Severity::Warning) {
            item.severity = Severity::Error;
            self.errors += 1;
        }
    }

    pub(crate) fn into_items(self) -> Vec<Diagnostic> {
        self.items
    }
}
