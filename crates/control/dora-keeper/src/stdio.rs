//! What a node prints, cut into lines.
//!
//! A line is sent when its end has come, in pieces when it is long, and what is not UTF-8 is replaced; a character is
//! never split between two pieces. It must not know who reads the lines.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
};

use crate::poller::{Poller, Token};

/// Longer lines are sent in pieces of about this many bytes.
pub(crate) const LONGEST_PIECE: usize = 32 * 1024;
/// The most bytes that the text of a piece may have once it is JSON; the rest of a packet is for the other fields.
const LONGEST_ENCODED: usize = 48 * 1024;

/// A piece of a line: its text, and whether more of the same line follows.
pub(crate) type Emit<'a> = dyn FnMut(String, bool) + 'a;

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    unfinished: Vec<u8>,
}

impl LineSplitter {
    /// Takes what was read; emits the lines that it completes.
    pub(crate) fn push(&mut self, bytes: &[u8], emit: &mut Emit<'_>) {
        let mut lines = bytes.split(|&byte| byte == b'\n');
        let mut rest = lines.next().unwrap_or_default();
        for next in lines {
            self.extend(rest, emit);
            self.finish_line(emit);
            rest = next;
        }
        self.extend(rest, emit);
    }
    /// The stream has ended: the last line may lack its newline.
    pub(crate) fn finish(&mut self, emit: &mut Emit<'_>) {
        if !self.unfinished.is_empty() {
            self.finish_line(emit);
        }
    }
    fn finish_line(&mut self, emit: &mut Emit<'_>) {
        emit_fitting(&String::from_utf8_lossy(&self.unfinished), false, emit);
        self.unfinished.clear();
    }
    fn extend(&mut self, bytes: &[u8], emit: &mut Emit<'_>) {
        self.unfinished.extend_from_slice(bytes);
        let mut start = 0;
        // Strictly longer: a piece that is sent as partial is always followed by something.
        while self.unfinished.len() - start > LONGEST_PIECE {
            let end = start + character_boundary(&self.unfinished[start..], LONGEST_PIECE);
            emit_fitting(&String::from_utf8_lossy(&self.unfinished[start..end]), true, emit);
            start = end;
        }
        self.unfinished.drain(..start);
    }
}

/// The largest place up to `limit` where no UTF-8 character is cut; `limit` itself in what is not UTF-8.
fn character_boundary(bytes: &[u8], limit: usize) -> usize {
    let continues = |at: &usize| bytes[*at] & 0b1100_0000 == 0b1000_0000;
    (limit - 3..=limit).rev().find(|at| !continues(at)).unwrap_or(limit)
}

fn encoded_len(text: &str) -> usize {
    let byte = |b: u8| match b {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(byte).sum()
}

/// Control characters grow sixfold in JSON, replaced ones threefold: such pieces are halved until they fit a packet.
fn emit_fitting(text: &str, partial: bool, emit: &mut Emit<'_>) {
    if encoded_len(text) <= LONGEST_ENCODED {
        return emit(text.to_owned(), partial);
    }
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    emit_fitting(first, true, emit);
    emit_fitting(second, partial, emit);
}

/// The last lines of a stream, few and short enough to travel in one packet.
#[derive(Debug, Default)]
pub(crate) struct LastLines {
    lines: VecDeque<String>,
}

impl LastLines {
    const COUNT: usize = 20;
    const LONGEST: usize = 1024;

    pub(crate) fn push(&mut self, text: &str) {
        let mut line = text[..text.floor_char_boundary(Self::LONGEST)].to_owned();
        if line.len() < text.len() {
            line.push_str("... [truncated]");
        }
        if self.lines.len() == Self::COUNT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
    pub(crate) fn last(&self) -> Option<&str> {
        self.lines.back().map(String::as_str)
    }
    /// The lines, the oldest left out if they would not fit a packet.
    pub(crate) fn take(&mut self) -> Vec<String> {
        let mut room = LONGEST_ENCODED;
        let fits = |line: &&String| {
            let len = encoded_len(line) + 3;
            let fits = len <= room;
            room = room.saturating_sub(len);
            fits
        };
        let count = self.lines.iter().rev().take_while(fits).count();
        let skipped = self.lines.len() - count;
        self.lines.drain(..).skip(skipped).collect()
    }
}

/// How much of a pipe to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    /// A buffer full: the process runs, the poller calls again.
    Some,
    /// What is in it now: the process is gone, and a child of its own may hold the pipe open for ever.
    Rest,
}

/// The read end of a node's standard output or error, registered with the poller unless it is paused.
pub(crate) struct Pipe {
    fd: OwnedFd,
    token: Token,
    poller: Rc<Poller>,
    splitter: LineSplitter,
    paused: bool,
}

impl Pipe {
    pub(crate) fn new(fd: OwnedFd, token: Token, poller: &Rc<Poller>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        poller.add(&fd, token)?;
        Ok(Pipe { fd, token, poller: Rc::clone(poller), splitter: LineSplitter::default(), paused: false })
    }

    /// Stops reading, so that the pipe fills and the node that prints waits; or goes on.
    pub(crate) fn pause(&mut self, paused: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.paused, paused) == paused {
            return Ok(());
        }
        if paused {
            self.poller.remove(&self.fd);
            return Ok(());
        }
        self.poller.add(&self.fd, self.token)
    }

    /// Reads, and emits complete lines. False: the stream has ended and the last line was emitted.
    pub(crate) fn read(&mut self, amount: Amount, emit: &mut Emit<'_>) -> bool {
        let mut left = match amount {
            Amount::Some => 1,
            Amount::Rest => rustix::io::ioctl_fionread(self.fd.as_fd()).unwrap_or(0) as usize,
        };
        let mut buffer = [0; 16 * 1024];
        let mut open = true;
        while open && left > 0 {
            match rustix::io::read(&self.fd, &mut buffer[..]) {
                Ok(0) => open = false,
                Ok(len) => {
                    self.splitter.push(&buffer[..len], emit);
                    left = left.saturating_sub(len);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => open = false,
            }
        }
        if !open || amount == Amount::Rest {
            self.splitter.finish(emit);
            return false;
        }
        true
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.poller.remove(&self.fd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> Vec<(String, bool)> {
        let mut splitter = LineSplitter::default();
        let mut out = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, &mut |text, partial| out.push((text, partial)));
        }
        splitter.finish(&mut |text, partial| out.push((text, partial)));
        out
    }
    fn whole(lines: &[&str]) -> Vec<(String, bool)> {
        lines.iter().map(|line| ((*line).to_owned(), false)).collect()
    }

    #[test]
    fn lines_end_at_newlines_and_at_the_end() {
        assert_eq!(split(&[b"one\ntw", b"o\n\nlast"]), whole(&["one", "two", "", "last"]));
        assert_eq!(split(&[b"one\n"]), whole(&["one"]));
        assert_eq!(split(&[]), whole(&[]));
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_one_piece() {
        let line = "x".repeat(LONGEST_PIECE);
        assert_eq!(split(&[line.as_bytes(), b"\n"]), whole(&[&line]));
    }

    #[test]
    fn characters_are_not_split_between_pieces() {
        for offset in 0..4 {
            let line = "x".repeat(LONGEST_PIECE - offset) + "\u{20ac}\u{1f980}end";
            let pieces = split(&[line.as_bytes()]);
            assert_eq!(pieces.iter().map(|(text, _)| text.as_str()).collect::<String>(), line);
            assert_eq!(pieces.iter().map(|(_, partial)| *partial).collect::<Vec<_>>(), [true, false]);
        }
    }

    #[test]
    fn what_is_not_utf8_is_replaced_and_still_cut() {
        let garbage = vec![0xbf; 3 * LONGEST_PIECE];
        let pieces = split(&[&garbage]);
        assert_eq!(pieces.iter().map(|(text, _)| text.chars().count()).sum::<usize>(), garbage.len());
        assert!(pieces.iter().all(|(text, _)| encoded_len(text) <= LONGEST_ENCODED));
    }

    #[test]
    fn the_encoded_length_is_that_of_serde_json() {
        let text: String = (0..0x180).filter_map(char::from_u32).collect();
        assert_eq!(encoded_len(&text) + 2, serde_json::to_string(&text).unwrap().len());
    }

    #[test]
    fn last_lines_fit_a_packet() {
        let mut last = LastLines::default();
        for i in 0..30 {
            last.push(&i.to_string());
        }
        assert_eq!(last.take(), (10..30).map(|i| i.to_string()).collect::<Vec<_>>());
        for _ in 0..30 {
            last.push(&"\u{1}".repeat(5000));
        }
        let lines = last.take();
        assert!(lines.len() >= 5 && serde_json::to_string(&lines).unwrap().len() <= LONGEST_ENCODED + 2);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(
            text in "(a|\u{e4}|\u{1f980}|\n|\u{1}){0,200}",
            repeat in 1..400usize,
            chunk in 1..50_000usize,
        ) {
            let text = text.repeat(repeat);
            let chunks: Vec<_> = text.as_bytes().chunks(chunk).collect();
            let mut joined = String::new();
            for (piece, partial) in split(&chunks) {
                prop_assert!(encoded_len(&piece) <= LONGEST_ENCODED);
                joined += &piece;
                if !partial {
                    joined.push('\n');
                }
            }
            if !text.ends_with('\n') {
                joined.pop();
            }
            prop_assert_eq!(joined, text);
        }
    }
}
