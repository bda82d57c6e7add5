//! A page of the guide as what its reader does: files to write, commands to type, output to see.
//!
//! In a page, a fenced block whose first line is ` ```yaml dataflow.yml ` (a language and a path) is a file. A block
//! ` ```console ` is a session: `$ ` begins a command, `^C` is typed, everything else is output. Output may be shorter
//! than the real one: lines may be left out, and `...` in a line stands for anything. The time that begins a line is
//! any time.

use std::path::{Path, PathBuf};

/// A page, cut at its headings of the second level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The heading; empty before the first one.
    pub title: String,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// One thing that the reader does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Writes a file.
    File {
        /// Relative to where the reader is.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
    /// Types a command.
    Command {
        /// The line.
        line: String,
        /// What comes of it.
        output: Vec<Output>,
    },
}

/// A line of a session after its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// What is printed.
    Line(String),
    /// Ctrl-C is typed after what comes before.
    Interrupt,
}

/// Reads a page.
pub fn sections(markdown: &str) -> Vec<Section> {
    let mut sections = vec![Section { title: String::new(), steps: Vec::new() }];
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section { title: title.to_owned(), steps: Vec::new() });
        } else if let Some(info) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            let steps = match info.split_once(' ') {
                Some((_, path)) => vec![Step::File { path: path.into(), text: block.join("\n") + "\n" }],
                None if info == "console" => session(&block),
                None => Vec::new(),
            };
            sections.last_mut().map(|section| section.steps.extend(steps)).unwrap_or_default();
        }
    }
    sections
}

fn session(block: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step::Command { line: command.to_owned(), output: Vec::new() }),
            (None, Some(Step::Command { output, .. })) => output.push(match *line {
                "^C" => Output::Interrupt,
                line => Output::Line(line.to_owned()),
            }),
            // Output without a command is an example, not a promise.
            _ => {}
        }
    }
    steps
}

/// Whether a program printed what the page shows, line by line in the order of the page; otherwise the line that is missing.
///
/// The two streams of a program have no order between them, so each is followed by itself.
pub fn find_missing<'a>(
    shown: impl IntoIterator<Item = &'a Output>,
    streams: [&str; 2],
    place: &Path,
) -> Option<&'a str> {
    let mut streams = streams.map(|text| text.replace(&*place.to_string_lossy(), "/home/me"));
    for output in shown {
        let Output::Line(line) = output else { continue };
        if line.trim().is_empty() || line.trim() == "..." {
            continue;
        }
        let found = streams.iter_mut().any(|stream| match after(stream, line) {
            Some(rest) => {
                *stream = rest;
                true
            }
            None => false,
        });
        if !found {
            return Some(line);
        }
    }
    None
}

/// What comes after the first line that looks like this.
fn after(stream: &str, shown: &str) -> Option<String> {
    let mut lines = stream.lines();
    lines.by_ref().find(|line| looks_like(line, shown))?;
    Some(lines.collect::<Vec<_>>().join("\n"))
}

fn looks_like(line: &str, shown: &str) -> bool {
    let (mut rest, shown) = (without_time(line.trim_end()), without_time(shown.trim_end()));
    let mut pieces = shown.split("...");
    let Some(after_first) = pieces.next().and_then(|first| rest.strip_prefix(first)) else { return false };
    rest = after_first;
    let mut open = false;
    for piece in pieces {
        open = piece.is_empty();
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    open || rest.is_empty()
}

/// The line without `HH:MM:SS ` at its beginning.
pub(crate) fn without_time(line: &str) -> &str {
    let is_time = |text: &str| {
        text.len() == 9
            && text.bytes().enumerate().all(|(at, byte)| match at {
                2 | 5 => byte == b':',
                8 => byte == b' ',
                _ => byte.is_ascii_digit(),
            })
    };
    match line.split_at_checked(9) {
        Some((time, rest)) if is_time(time) => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_files_and_sessions() {
        let page = "# A\n```yaml a.yml\nnodes: []\n```\n## B\n```console\n$ dora run a.yml\nhello\n^C\n$ ls\n```\n```\nno\n```\n";
        let sections = sections(page);
        assert_eq!((sections.len(), sections[1].title.as_str()), (2, "B"));
        assert_eq!(sections[0].steps, [Step::File { path: "a.yml".into(), text: "nodes: []\n".to_owned() }]);
        let output = vec![Output::Line("hello".to_owned()), Output::Interrupt];
        let first = Step::Command { line: "dora run a.yml".to_owned(), output };
        assert_eq!(sections[1].steps, [first, Step::Command { line: "ls".to_owned(), output: Vec::new() }]);
    }

    #[test]
    fn what_is_shown_must_be_there_in_order() {
        let missing = |shown: &[&str]| {
            let shown: Vec<Output> = shown.iter().map(|line| Output::Line((*line).to_owned())).collect();
            find_missing(&shown, ["01:02:03 a\nin /bench/b\n", "of 7 things\nlast"], Path::new("/bench"))
                .map(str::to_owned)
        };
        assert_eq!(missing(&["23:59:59 a", "in /home/me/b", "of ... things", "last"]), None);
        assert_eq!(missing(&["of ...", "...", "23:59:59 a"]), None);
        assert_eq!(missing(&["in /home/me/b", "a"]).as_deref(), Some("a"));
        assert_eq!(missing(&["last", "of 7 things"]).as_deref(), Some("of 7 things"));
        assert_eq!(missing(&["of 7"]).as_deref(), Some("of 7"));
    }
}
