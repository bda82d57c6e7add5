//! Which outputs a node has, found by name on every send.

use std::collections::BTreeSet;

use dora_message::id::DataId;

/// The outputs of a node. Sorted by id: a node has few, and a search among few texts beats hashing one.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    entries: Vec<Entry>,
    warned: BTreeSet<DataId>,
}

#[derive(Debug)]
struct Entry {
    id: DataId,
    /// Its position in the configuration.
    number: usize,
    open: bool,
}

/// What became of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// The number of an open output.
    Open(usize),
    /// Closed, or never declared.
    Other,
}

impl Outputs {
    /// Outputs numbered in this order.
    pub(super) fn new(ids: &[DataId]) -> Self {
        let numbered = ids.iter().enumerate();
        let mut entries: Vec<_> = numbered.map(|(number, id)| Entry { id: id.clone(), number, open: true }).collect();
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        Outputs { entries, warned: BTreeSet::new() }
    }

    fn position(&self, id: &DataId) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.id.cmp(id))
    }

    #[inline]
    pub(super) fn find(&self, id: &DataId) -> Lookup {
        match self.position(id) {
            Ok(at) if self.entries[at].open => Lookup::Open(self.entries[at].number),
            _ => Lookup::Other,
        }
    }

    /// Adds an output that no configuration declares; its number.
    pub(super) fn declare(&mut self, id: &DataId) -> usize {
        let number = self.entries.len();
        match self.position(id) {
            Ok(at) => self.entries[at].number,
            Err(at) => {
                self.entries.insert(at, Entry { id: id.clone(), number, open: true });
                number
            }
        }
    }

    /// Marks an output as closed: its number if it was open.
    pub(super) fn close(&mut self, id: &DataId) -> Option<usize> {
        let at = self.position(id).ok()?;
        let entry = &mut self.entries[at];
        std::mem::replace(&mut entry.open, false).then_some(entry.number)
    }

    /// What to tell the user about an output that is not open. `None`: he has been told.
    pub(super) fn warning(&mut self, id: &DataId) -> Option<String> {
        if !self.warned.insert(id.clone()) {
            return None;
        }
        if self.position(id).is_ok() {
            return Some(format!("output `{id}` was closed; what is sent on it is ignored"));
        }
        let known: Vec<_> = self.entries.iter().map(|entry| format!("`{}`", entry.id)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Some(format!(
            "output `{id}` is ignored: the dataflow file does not list it under `outputs` of this node (it lists: {known})"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_keep_their_numbers_and_warn_once() {
        let mut outputs = Outputs::new(&["zoom".into(), "image".into()]);
        assert_eq!(outputs.find(&"zoom".into()), Lookup::Open(0));
        assert_eq!(outputs.find(&"image".into()), Lookup::Open(1));
        assert_eq!(outputs.close(&"zoom".into()), Some(0));
        assert_eq!(outputs.close(&"zoom".into()), None);
        assert_eq!(outputs.find(&"zoom".into()), Lookup::Other);
        assert!(outputs.warning(&"zoom".into()).unwrap().contains("closed"));
        assert!(outputs.warning(&"zom".into()).unwrap().contains("`image`, `zoom`"));
        assert_eq!(outputs.warning(&"zom".into()), None);
    }
}
