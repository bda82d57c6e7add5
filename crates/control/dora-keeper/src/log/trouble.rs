//! What the user is told about log files that cannot be written: once that they cannot, once that they can again, and at
//! the end how many lines are missing.

use dora_message::id::NodeId;

use super::file::Notice;

/// Log files with trouble.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    told_broken: bool,
    told_mended: bool,
    /// What is still to be told.
    warnings: Vec<String>,
}

impl Trouble {
    pub(super) fn note(&mut self, notice: Notice) {
        match notice {
            Notice::Broken { path, error } if !std::mem::replace(&mut self.told_broken, true) => {
                self.warnings.push(format!(
                    "the log file `{}` cannot be written: {error}; the nodes go on, and lines are shown but not kept \
                     until it can",
                    path.display()
                ));
            }
            Notice::Mended { path, lost } if !std::mem::replace(&mut self.told_mended, true) => {
                self.warnings.push(format!(
                    "the log file `{}` is written again; {lost} lines are missing in it",
                    path.display()
                ));
            }
            Notice::Broken { .. } | Notice::Mended { .. } => {}
        }
    }

    pub(super) fn warnings(&mut self) -> impl Iterator<Item = String> {
        self.warnings.drain(..)
    }
}

/// The sentence about all that is missing.
pub(super) fn total<'a>(lost: impl Iterator<Item = (&'a NodeId, u64)>) -> Option<String> {
    const NAMED: usize = 5;
    let lost: Vec<_> = lost.collect();
    let sum: u64 = lost.iter().map(|(_, count)| count).sum();
    let mut parts: Vec<String> = lost.iter().take(NAMED).map(|(node, count)| format!("{count} of `{node}`")).collect();
    if lost.len() > NAMED {
        parts.push(format!("those of {} more nodes", lost.len() - NAMED));
    }
    (sum > 0).then(|| format!("{sum} lines are missing in the log files: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once() {
        let mut trouble = Trouble::default();
        for round in 0..3 {
            trouble.note(Notice::Broken { path: "out/a".into(), error: "full".to_owned() });
            trouble.note(Notice::Mended { path: "out/a".into(), lost: 7 });
            assert_eq!(trouble.warnings().count(), if round == 0 { 2 } else { 0 });
        }
    }

    #[test]
    fn the_total_names_nodes() {
        let nodes: Vec<NodeId> = (0..7).map(|n| format!("n{n}").into()).collect();
        assert_eq!(total(std::iter::empty()), None);
        let text = total(nodes.iter().map(|node| (node, 2))).unwrap();
        assert!(text.starts_with("14 lines are missing in the log files: 2 of `n0`, 2 of `n1`"), "{text}");
        assert!(text.ends_with("2 of `n4`, those of 2 more nodes"), "{text}");
    }
}
