//! Which lines are wanted: `--log-level` for all nodes, `--log-filter` for single ones.

use dora_message::{id::NodeId, log::LogLevel};

use super::Entry;

/// The least severe level that is shown, for all and for some nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    default: LogLevel,
    of_nodes: Vec<(NodeId, LogLevel)>,
}

impl Filter {
    /// Later rules about the same node win.
    pub(crate) fn new(default: LogLevel, of_nodes: Vec<(NodeId, LogLevel)>) -> Self {
        Self { default, of_nodes }
    }

    /// The nodes that rules are about.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.of_nodes.iter().map(|(node, _)| node)
    }

    /// Plain text counts as the least severe level, so any minimum hides it. What dora itself says is always shown.
    pub(crate) fn wants(&self, entry: &Entry<'_>) -> bool {
        let Some(node) = entry.node else { return true };
        let own_rule = self.of_nodes.iter().rev().find(|(id, _)| id == node);
        entry.said.level <= own_rule.map_or(self.default, |(_, level)| *level)
    }
}

/// Reads a level: `error`, `warn`, `info`, `debug`, `trace`, `stdout`.
pub(crate) fn parse_level(text: &str) -> Result<LogLevel, String> {
    let words = LogLevel::ALL.map(LogLevel::as_str).join(", ");
    LogLevel::from_word(text).ok_or_else(|| format!("expected one of {words}"))
}

/// Reads one rule of `--log-filter`: `camera=warn`.
pub(crate) fn parse_rule(text: &str) -> Result<(NodeId, LogLevel), String> {
    let (node, level) = text.split_once('=').ok_or("expected NODE=LEVEL, for example `camera=warn`")?;
    Ok((node.parse().map_err(|error| format!("{error}"))?, parse_level(level)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minima_hide_plain_text() {
        let all = Filter::new(LogLevel::Stdout, vec![parse_rule("other=error").unwrap()]);
        let some = Filter::new(LogLevel::Stdout, vec![parse_rule("camera=warn").unwrap()]);
        let plain = Entry::example("plain");
        let error = Entry::example(r#"{"timestamp":"2026-01-02T03:04:05Z","level":"ERROR","message":"x"}"#);
        assert!(all.wants(&plain) && !some.wants(&plain) && some.wants(&error));
        assert!(some.wants(&Entry::own(None, LogLevel::Trace, String::new())));
    }

    #[test]
    fn wrong_rules_say_what_is_expected() {
        assert!(parse_rule("b").unwrap_err().contains("NODE=LEVEL"));
        assert!(parse_rule("b=loud").unwrap_err().contains("warn"));
        assert!(parse_rule("b/c=warn").is_err());
    }
}
