//! Bytes of a stream, cut into lines.

use dora_message::log::{LONGEST_LINE, TRUNCATED};

/// A line without its newline, and whether it had one: the last line of a stream may lack it.
pub(super) type Emit<'a> = dyn FnMut(&str, bool) + 'a;

/// Capacity that is kept for the next line.
const KEPT: usize = 64 * 1024;

/// Cuts bytes into lines. What is not UTF-8 is replaced; lines longer than [`LONGEST_LINE`] are cut.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    unfinished: Vec<u8>,
    /// The unfinished line has lost its end.
    overlong: bool,
}

impl LineSplitter {
    /// Takes what was read; emits the lines that it completes.
    pub(super) fn push(&mut self, bytes: &[u8], emit: &mut Emit<'_>) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if self.unfinished.is_empty() && end <= LONGEST_LINE {
                emit(&String::from_utf8_lossy(&rest[..end]), true);
            } else {
                self.extend(&rest[..end]);
                self.finish_line(true, emit);
            }
            rest = &rest[end + 1..];
        }
        self.extend(rest);
    }

    /// The stream has ended.
    pub(super) fn finish(&mut self, emit: &mut Emit<'_>) {
        if !self.unfinished.is_empty() {
            self.finish_line(false, emit);
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINE - self.unfinished.len();
        self.overlong |= bytes.len() > room;
        self.unfinished.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish_line(&mut self, ended: bool, emit: &mut Emit<'_>) {
        if std::mem::take(&mut self.overlong) {
            let cut = character_boundary(&self.unfinished);
            emit(&(String::from_utf8_lossy(&self.unfinished[..cut]) + TRUNCATED), ended);
        } else {
            emit(&String::from_utf8_lossy(&self.unfinished), ended);
        }
        self.unfinished.clear();
        self.unfinished.shrink_to(KEPT);
    }
}

/// The last place where no UTF-8 character is cut; the end in what is not UTF-8.
fn character_boundary(bytes: &[u8]) -> usize {
    let end = bytes.len();
    let lead = (end.saturating_sub(4)..end).rev().find(|&at| bytes[at] & 0b1100_0000 != 0b1000_0000);
    lead.filter(|&at| std::str::from_utf8(&bytes[at..]).is_err()).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(String, bool)> {
        let mut splitter = LineSplitter::default();
        let mut out = Vec::new();
        let mut emit = |text: &str, ended| out.push((text.to_owned(), ended));
        chunks.iter().for_each(|chunk| splitter.push(chunk, &mut emit));
        splitter.finish(&mut emit);
        out
    }
    fn lines(expected: &[(&str, bool)]) -> Vec<(String, bool)> {
        expected.iter().map(|(text, ended)| ((*text).to_owned(), *ended)).collect()
    }

    #[test]
    fn lines_end_at_newlines_and_at_the_end() {
        assert_eq!(
            split(&[b"one\ntw", b"o\n\nlast"]),
            lines(&[("one", true), ("two", true), ("", true), ("last", false)])
        );
        assert_eq!(split(&[b"one\n"]), lines(&[("one", true)]));
        assert_eq!(split(&[]), lines(&[]));
    }

    #[test]
    fn long_lines_are_cut_once_and_the_next_is_whole() {
        let line = "x".repeat(LONGEST_LINE);
        assert_eq!(split(&[line.as_bytes(), b"\nnext\n"]), lines(&[(&line, true), ("next", true)]));
        let chunk = "x".repeat(60_000);
        let mut chunks = vec![chunk.as_bytes(); 40];
        chunks.push(b"\nnext\n");
        assert_eq!(split(&chunks), lines(&[(&(line + TRUNCATED), true), ("next", true)]));
    }

    #[test]
    fn characters_are_not_cut() {
        for offset in 0..5 {
            let whole = "x".repeat(LONGEST_LINE - offset) + "\u{1f980}\u{20ac}\n";
            let cut = split(&[whole.as_bytes()]);
            let kept = cut[0].0.strip_suffix(TRUNCATED).unwrap();
            assert!(whole.starts_with(kept) && kept.len() > LONGEST_LINE - 4, "{offset}");
        }
        assert_eq!(split(&[&vec![0xbf; LONGEST_LINE + 1]])[0].0.chars().count(), LONGEST_LINE + TRUNCATED.len());
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "(a|\u{e4}|\u{1f980}|\n|\u{1}){0,200}", chunk in 1..50usize) {
            let chunks: Vec<_> = text.as_bytes().chunks(chunk).collect();
            let mut joined = String::new();
            for (line, ended) in split(&chunks) {
                joined += &line;
                joined += if ended { "\n" } else { "" };
            }
            prop_assert_eq!(joined, text);
        }
    }
}
