//! Texts that were read, and positions in them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Number of a file in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId(u32);

/// A piece of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Its first byte.
    pub start: u32,
    /// The byte after its last.
    pub end: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> Spanned<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), span: self.span }
    }
}

/// A position for people. Both numbers start at 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Name of the file, as it was given.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The files that were read to make one dataflow: the dataflow file first, then modules and type packages.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<Arc<SourceFile>>,
}

#[derive(Debug)]
struct SourceFile {
    name: String,
    text: Arc<str>,
    /// Offset of the first byte of each line.
    lines: Vec<u32>,
}

impl Sources {
    /// Adds a file. Its text must be shorter than 4 GiB, which the size limits of the loaders ensure.
    pub(crate) fn add(&mut self, name: String, text: Arc<str>) -> FileId {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at as u32 + 1);
        let lines = std::iter::once(0).chain(newlines).collect();
        self.files.push(Arc::new(SourceFile { name, text, lines }));
        FileId(self.files.len() as u32 - 1)
    }

    fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize).map(Arc::as_ref)
    }

    /// Name of a file, as it was given.
    pub fn name(&self, id: FileId) -> &str {
        self.file(id).map_or("", |file| &file.name)
    }

    /// Text of a file.
    pub fn text(&self, id: FileId) -> &str {
        self.file(id).map_or("", |file| &file.text)
    }

    /// The text of a span.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file).get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Names of all files, in the order in which they were read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// Where a span starts, for people.
    pub fn position(&self, span: Span) -> Position {
        let Some(file) = self.file(span.file) else {
            return Position { file: String::new(), line: 1, column: 1 };
        };
        let line = line_of(file, span.start);
        let start = file.lines[line as usize] as usize;
        let column = file.text.get(start..span.start as usize).unwrap_or("").chars().count() as u32 + 1;
        Position { file: file.name.clone(), line: line + 1, column }
    }

    /// The lines from the one before `span` to the one after it: their text, the offset at which it starts in the file,
    /// and the number of its first line, counted from 0.
    pub(crate) fn surroundings(&self, span: Span) -> (&str, usize, usize) {
        let Some(file) = self.file(span.file) else { return ("", 0, 0) };
        let first = line_of(file, span.start).saturating_sub(1) as usize;
        let last = line_of(file, span.end.max(span.start)) as usize + 2;
        let start = file.lines[first] as usize;
        let end = file.lines.get(last).map_or(file.text.len(), |end| *end as usize);
        (file.text.get(start..end).unwrap_or(""), start, first)
    }
}

/// Number of the line that holds a byte, counted from 0.
fn line_of(file: &SourceFile, byte: u32) -> u32 {
    file.lines.partition_point(|start| *start <= byte).saturating_sub(1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let mut sources = Sources::default();
        let file = sources.add("a.yml".to_owned(), "x: 1\n\u{e9}\u{e9}: b\n".into());
        let span = Span { file, start: 11, end: 12 };
        assert_eq!(sources.slice(span), "b");
        assert_eq!(sources.position(span).to_string(), "a.yml:2:5");
        let (text, start, line) = sources.surroundings(span);
        assert_eq!((text.len(), start, line), (13, 0, 0));
    }

    #[test]
    fn a_position_at_the_end_is_inside() {
        let mut sources = Sources::default();
        let file = sources.add("a.yml".to_owned(), "x\n".into());
        assert_eq!(sources.position(Span { file, start: 2, end: 2 }).line, 2);
        assert_eq!(sources.surroundings(Span { file, start: 2, end: 2 }).0, "x\n");
    }
}
