//! Long lines come in pieces: here they are put together again.

use std::collections::HashMap;

use dora_message::{id::NodeId, supervision::OutputStream};

/// Beginnings of lines whose rest is still to come.
#[derive(Debug, Default)]
pub(crate) struct Beginnings(HashMap<(NodeId, OutputStream), String>);

impl Beginnings {
    /// The lines that are complete now. `partial`: more of the last one follows.
    pub(crate) fn complete(
        &mut self,
        node: &NodeId,
        stream: OutputStream,
        mut lines: Vec<String>,
        partial: bool,
    ) -> Vec<String> {
        if !partial && self.0.is_empty() {
            return lines;
        }
        let key = (node.clone(), stream);
        if let Some(mut beginning) = self.0.remove(&key)
            && let Some(first) = lines.first_mut()
        {
            beginning.push_str(first);
            *first = beginning;
        }
        if partial && let Some(last) = lines.pop() {
            self.0.insert(key, last);
        }
        lines
    }

    /// Lines of a node were left out: nobody will say how those go on that have begun.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        self.0.retain(|(of, _), _| of != node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutputStream::{Stderr, Stdout};

    #[test]
    fn pieces_of_several_streams_do_not_mix() {
        let mut beginnings = Beginnings::default();
        let mut complete = |node: &str, stream, lines: &[&str], partial| {
            let lines = lines.iter().map(|&line| line.to_owned()).collect();
            beginnings.complete(&node.into(), stream, lines, partial).join("|")
        };
        assert_eq!(complete("a", Stdout, &["one", "tw"], true), "one");
        assert_eq!(complete("a", Stderr, &["x"], true), "");
        assert_eq!(complete("b", Stdout, &["y"], false), "y");
        assert_eq!(complete("a", Stdout, &["o"], true), "");
        assert_eq!(complete("a", Stdout, &["!", "three"], false), "two!|three");
        assert_eq!(complete("a", Stderr, &["z"], false), "xz");
        assert_eq!(complete("a", Stdout, &["lo"], true), "");
        beginnings.forget(&"a".into());
        assert_eq!(beginnings.complete(&"a".into(), Stdout, vec!["st".to_owned()], false), ["st"]);
    }
}
