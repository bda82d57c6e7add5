//! From the tree of a file to nodes as that file says them.
//!
//! `fields` gives values their shapes, by the table of keys; the other files read them into drafts. Whatever needs more
//! than one file (modules) or more than one node (edges) comes later, in `expand` and `check`.

pub(crate) mod fields;
mod file;
mod node;
mod operator;
mod ports;
pub(crate) mod scalar;
pub(crate) mod sink;

use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Span, Spanned},
    suggest,
    vars::{VarError, Vars},
};

pub(crate) use file::{dataflow, module};
use sink::Sink;

/// What decoding a file needs.
pub(crate) struct Context<'a> {
    pub(crate) sink: &'a mut Sink,
    pub(crate) vars: Vars<'a>,
}

impl Context<'_> {
    fn error(&mut self, code: Code, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.sink.push(Diagnostic::error(code, span, message).help(help));
    }

    /// Expands variables; reports those that are not set.
    fn expand(&mut self, text: &Spanned<String>) -> String {
        let result = self.vars.expand(&text.value);
        self.expanded(text, result)
    }

    /// Substitutes parameters; reports those that do not exist.
    fn substitute(&mut self, text: &Spanned<String>) -> String {
        let result = self.vars.substitute(&text.value);
        self.expanded(text, result)
    }

    fn expanded(&mut self, text: &Spanned<String>, result: Result<String, VarError>) -> String {
        let (message, help) = match result {
            Ok(expanded) => return expanded,
            Err(VarError::Unset(name)) => (
                format!("the environment variable `{name}` is not set"),
                format!("set it, or write `${{{name}:-default}}`; `$$` stands for a plain `$`"),
            ),
            Err(VarError::UnknownParam(name)) => (
                format!("there is no parameter `{name}`"),
                suggest::did_you_mean(&name, "parameters", self.vars.param_names())
                    .unwrap_or_else(|| "add it to `params:` of the node with `module`".to_owned()),
            ),
            Err(VarError::Malformed(reference)) => (
                format!("`{reference}` is no reference to a variable"),
                "write `${NAME}` or `${NAME:-default}`; `$$` stands for a plain `$`".to_owned(),
            ),
        };
        self.error(Code::Variable, text.span, message, help);
        text.value.clone()
    }
}
