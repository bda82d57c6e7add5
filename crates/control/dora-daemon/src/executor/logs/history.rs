//! What is in the log files of a dataflow, as one sequence in the order of time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    fs::File,
    io::{BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use chrono::{DateTime, Utc};
use dora_gateways::{DataflowId, LogLine};
use dora_message::{
    id::NodeId,
    log::{KeptRecord, rotated},
};

use super::{line, seam::Tail};
use crate::executor::record::LogFiles;

/// Where each node's lines ended.
pub(super) type Tails = HashMap<NodeId, Tail>;

/// The lines of several nodes.
pub(super) struct History {
    dataflow: DataflowId,
    nodes: Vec<NodeFiles>,
    /// The next line of each node, the earliest first.
    next: BinaryHeap<Reverse<(DateTime<Utc>, usize)>>,
}

impl History {
    /// Opens the files that are there.
    pub(super) fn open(dataflow: DataflowId, files: &[LogFiles]) -> Self {
        let nodes: Vec<_> = files.iter().map(NodeFiles::open).collect();
        let mut history = History { dataflow, nodes, next: BinaryHeap::new() };
        (0..history.nodes.len()).for_each(|index| history.enqueue(index));
        history
    }

    /// The next line.
    pub(super) fn next(&mut self) -> Option<LogLine> {
        let Reverse((_, index)) = self.next.pop()?;
        let line = self.nodes[index].next.take();
        self.enqueue(index);
        line
    }

    /// Where the lines ended, once all are read.
    pub(super) fn tails(self) -> Tails {
        self.nodes.into_iter().map(|node| (node.files.node, node.tail)).collect()
    }

    fn enqueue(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.next = node.read(self.dataflow);
        if let Some(line) = &node.next {
            self.next.push(Reverse((line.time, index)));
        }
    }
}

/// The files of one node, the oldest first.
struct NodeFiles {
    files: LogFiles,
    open: VecDeque<BufReader<File>>,
    /// The newest file that was opened.
    newest: Option<Identity>,
    next: Option<LogLine>,
    tail: Tail,
    buffer: Vec<u8>,
}

type Identity = (u64, u64);

impl NodeFiles {
    fn open(files: &LogFiles) -> Self {
        let mut node = NodeFiles {
            files: files.clone(),
            open: VecDeque::new(),
            newest: None,
            next: None,
            tail: Tail::default(),
            buffer: Vec::new(),
        };
        let count = node.open_newer();
        // With all places for older files taken, one may have been removed before.
        node.tail.complete = files.rotated == 0 || count <= files.rotated as usize;
        node
    }

    /// Opens what is newer than all that was opened; how many files that are.
    ///
    /// From the newest to the oldest, so that a file that is renamed meanwhile is found twice rather than never.
    fn open_newer(&mut self) -> usize {
        let mut found = VecDeque::new();
        let (before, mut last) = (self.newest, None);
        let paths = (0..=self.files.rotated).map(|number| match number {
            0 => self.files.file.clone(),
            number => rotated(&self.files.file, number),
        });
        for (file, identity) in paths.filter_map(|path| open(&path)) {
            if Some(identity) == before {
                break;
            }
            if last == Some(identity) {
                continue;
            }
            last = Some(identity);
            if found.is_empty() {
                self.newest = Some(identity);
            }
            found.push_front(BufReader::new(file));
        }
        let count = found.len();
        self.open.extend(found);
        count
    }

    /// The next line of the files.
    fn read(&mut self, dataflow: DataflowId) -> Option<LogLine> {
        loop {
            let Some(file) = self.open.front_mut() else {
                // The last file may have been rotated while it was read.
                if self.newest.is_none() || self.open_newer() == 0 {
                    return None;
                }
                continue;
            };
            self.buffer.clear();
            let read = file.read_until(b'\n', &mut self.buffer);
            // What has no newline yet is still being written.
            if !read.is_ok_and(|count| count > 0) || self.buffer.last() != Some(&b'\n') {
                self.open.pop_front();
                continue;
            }
            match serde_json::from_slice::<KeptRecord>(&self.buffer) {
                Ok(record) => {
                    self.tail.add(&record);
                    return Some(line::kept(dataflow, &self.files.node, record));
                }
                Err(_) => self.tail.complete = false,
            }
        }
    }
}

fn open(path: &Path) -> Option<(File, Identity)> {
    let file = File::open(path).ok()?;
    let found = file.metadata().ok()?;
    Some((file, (found.dev(), found.ino())))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn record(seconds: u64, node: &str, text: &str) -> String {
        format!(
            "{{\"ts\":\"1970-01-01T00:00:{seconds:02}.000Z\",\"level\":\"stdout\",\"node\":\"{node}\",\"stream\":\"stdout\",\"msg\":\"{text}\"}}\n"
        )
    }

    fn messages(history: &mut History) -> Vec<String> {
        std::iter::from_fn(|| history.next()).map(|line| line.message).collect()
    }

    #[test]
    fn nodes_and_rotated_files_are_one_sequence() {
        let dir = tempfile::tempdir().unwrap();
        let files = |node: &str, rotated| LogFiles {
            node: node.into(),
            file: dir.path().join(format!("log_{node}.jsonl")),
            rotated,
        };
        let (a, b) = (files("a", 2), files("b", 0));
        fs::write(rotated(&a.file, 2), record(1, "a", "one")).unwrap();
        fs::write(rotated(&a.file, 1), record(3, "a", "three")).unwrap();
        fs::write(&a.file, record(5, "a", "five") + "{\"ts\":\"torn").unwrap();
        fs::write(&b.file, record(2, "b", "two") + &record(4, "b", "four")).unwrap();
        let mut history = History::open(DataflowId(uuid::Uuid::nil()), &[a, b, files("c", 0)]);
        assert_eq!(messages(&mut history), ["one", "two", "three", "four", "five"]);
        let tails = history.tails();
        assert_eq!((tails["a"].count, tails["a"].complete), (3, false));
        assert_eq!((tails["b"].count, tails["b"].complete), (2, true));
    }

    #[test]
    fn a_file_that_is_rotated_while_it_is_read_is_read_on_in_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let files = LogFiles { node: "a".into(), file: dir.path().join("log_a.jsonl"), rotated: 3 };
        fs::write(&files.file, record(1, "a", "one")).unwrap();
        let mut history = History::open(DataflowId(uuid::Uuid::nil()), std::slice::from_ref(&files));
        let mut current = File::options().append(true).open(&files.file).unwrap();
        current.write_all(record(2, "a", "two").as_bytes()).unwrap();
        fs::rename(&files.file, rotated(&files.file, 2)).unwrap();
        fs::write(rotated(&files.file, 1), record(3, "a", "three")).unwrap();
        fs::write(&files.file, record(4, "a", "four")).unwrap();
        assert_eq!(messages(&mut history), ["one", "two", "three", "four"]);
    }
}
