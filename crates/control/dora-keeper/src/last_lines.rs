//! What is kept of a node's standard error to tell why it failed: its last lines, and the message of its last panic.
//!
//! With RUST_BACKTRACE=1 a Rust program says first why it ends and then, in more lines than are kept, where it was. So the
//! beginning of a panic is kept until the next one. It must not know of processes.

use std::collections::VecDeque;

use crate::log::{LONGEST_ENCODED, encoded_len};

/// The last lines of a stream, few and short enough to travel in one packet.
#[derive(Debug, Default)]
pub(crate) struct LastLines {
    lines: VecDeque<String>,
    /// How many lines there were in all.
    count: u64,
    panic: Option<Panic>,
}

/// The beginning of a panic.
#[derive(Debug)]
struct Panic {
    /// The number of its first line.
    at: u64,
    /// That line and those of its message.
    lines: Vec<String>,
    part: Part,
}

/// What of a panic comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Message,
    Backtrace,
    /// Something else was printed since.
    Over,
}

impl Panic {
    /// Lines that are kept of it.
    const LONGEST: usize = 5;

    fn begins_with(line: &str) -> bool {
        line.starts_with("thread '") && line.contains("' ") && line.contains(" panicked at ")
    }

    fn go_on(&mut self, line: &str) {
        let is_of_backtrace = line.is_empty() || line.starts_with([' ', '\t']) || line.starts_with("note: ");
        self.part = match self.part {
            Part::Message if line == "stack backtrace:" || line.starts_with("note: ") => Part::Backtrace,
            Part::Message if self.lines.len() < Self::LONGEST => {
                self.lines.push(clipped(line));
                Part::Message
            }
            Part::Message | Part::Backtrace if is_of_backtrace => Part::Backtrace,
            Part::Message | Part::Backtrace | Part::Over => Part::Over,
        };
    }
}

impl LastLines {
    const COUNT: usize = 20;
    const LONGEST: usize = 1024;

    pub(crate) fn push(&mut self, text: &str) {
        if Panic::begins_with(text) {
            self.panic = Some(Panic { at: self.count, lines: vec![clipped(text)], part: Part::Message });
        } else if let Some(panic) = &mut self.panic {
            panic.go_on(text);
        }
        self.count += 1;
        if self.lines.len() == Self::COUNT {
            self.lines.pop_front();
        }
        self.lines.push_back(clipped(text));
    }

    /// The line that says best why the program ended: the message of a panic if that came last, else the last line.
    pub(crate) fn reason(&self) -> Option<String> {
        match &self.panic {
            Some(panic) if panic.part != Part::Over => {
                Some(panic.lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "))
            }
            _ => self.lines.back().cloned(),
        }
    }

    /// The lines, the oldest left out if they would not fit a packet. A panic that is older than all of them comes first,
    /// with a line that says how many lie between.
    pub(crate) fn take(&mut self) -> Vec<String> {
        let mut kept: Vec<String> = Vec::new();
        let first = self.count - self.lines.len() as u64;
        if let Some(panic) = self.panic.take().filter(|panic| panic.at < first) {
            // Lines of the panic that are among the last ones anyway.
            let before = usize::try_from(first - panic.at).unwrap_or(usize::MAX);
            kept.extend(panic.lines.into_iter().take(before));
            let between = first - panic.at - kept.len() as u64;
            if between > 0 {
                kept.push(format!("... [{between} lines left out]"));
            }
        }
        let mut room = LONGEST_ENCODED - kept.iter().map(|line| encoded_len(line)).sum::<usize>();
        let fits = |line: &&String| {
            let len = encoded_len(line);
            let fits = len <= room;
            room = room.saturating_sub(len);
            fits
        };
        let skipped = self.lines.len() - self.lines.iter().rev().take_while(fits).count();
        kept.extend(self.lines.drain(..).skip(skipped));
        kept
    }
}

fn clipped(text: &str) -> String {
    let mut line = text[..text.floor_char_boundary(LastLines::LONGEST)].to_owned();
    if line.len() < text.len() {
        line.push_str("... [truncated]");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANIC: &str = "thread 'main' (7) panicked at src/main.rs:3:9:";

    fn pushed<'a>(lines: impl IntoIterator<Item = &'a str>) -> LastLines {
        let mut last = LastLines::default();
        lines.into_iter().for_each(|line| last.push(line));
        last
    }

    #[test]
    fn last_lines_fit_a_packet() {
        let numbers: Vec<String> = (0..30).map(|i| i.to_string()).collect();
        assert_eq!(pushed(numbers.iter().map(String::as_str)).take(), numbers[10..]);
        let long = "\u{1}".repeat(5000);
        let lines = pushed([PANIC, &long, &long].into_iter().chain(std::iter::repeat_n(&*long, 30))).take();
        assert!(lines.len() >= 5 && serde_json::to_string(&lines).unwrap().len() <= LONGEST_ENCODED + 2);
        assert_eq!(lines[0], PANIC);
    }

    #[test]
    fn the_message_of_a_panic_is_the_reason() {
        let hint = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
        let mut last = pushed(["starting", "", PANIC, "no camera", hint]);
        assert_eq!(last.reason().unwrap(), format!("{PANIC} no camera"));
        assert_eq!(last.take().len(), 5);
        let caught = pushed([PANIC, "no camera", hint, "trying the next one", "no camera at all"]);
        assert_eq!(caught.reason().unwrap(), "no camera at all");
    }

    #[test]
    fn a_backtrace_does_not_push_the_panic_out() {
        let frames: Vec<String> = (0..40).map(|frame| format!("  {frame}: robot::camera::open")).collect();
        let head = ["starting", PANIC, "assertion failed", "  left: 1", " right: 2", "stack backtrace:"];
        let lines = || head.into_iter().chain(frames.iter().map(String::as_str));
        let mut last = pushed(lines());
        assert_eq!(last.reason().unwrap(), format!("{PANIC} assertion failed left: 1 right: 2"));
        let kept = last.take();
        assert_eq!(kept[..5], [PANIC, "assertion failed", "  left: 1", " right: 2", "... [21 lines left out]"]);
        assert_eq!(kept[5..], frames[20..]);
        // Nothing is told twice where the message is half pushed out.
        let mut last = pushed(lines().take(1 + 1 + LastLines::COUNT));
        assert_eq!(last.take().len(), 1 + LastLines::COUNT);
    }
}
