//! Diagnostics as text with code frames.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan,
    SpanContents,
};

use crate::{
    diagnostic::{Diagnostic, Label, Severity},
    source::{Sources, Span},
};

/// Columns of a rendered diagnostic.
const WIDTH: usize = 120;
/// Bytes of a source line that are shown; longer ones are cut around the place.
const MAX_FRAME_LINE: usize = 160;

pub(crate) fn render(items: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false).with_context_lines(1);
    let mut text = String::new();
    for item in items {
        let frame = Frame::new(item, sources);
        // Writing to a String does not fail; should the handler refuse a frame, the message itself must not be lost.
        if handler.render_report(&mut text, &frame).is_err() {
            text.push_str(&item.message);
        }
        text.push('\n');
    }
    text
}

/// One diagnostic as miette wants it.
struct Frame<'a> {
    item: &'a Diagnostic,
    window: Option<Window>,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
}

impl<'a> Frame<'a> {
    fn new(item: &'a Diagnostic, sources: &Sources) -> Self {
        let Some(first) = item.labels.first() else {
            return Self { item, window: None, labels: Vec::new(), help: item.help.clone() };
        };
        // A frame shows one piece of one file; what lies elsewhere is named by its position.
        let (near, far): (Vec<&Label>, Vec<&Label>) =
            item.labels.iter().partition(|label| label.span.file == first.span.file && close(sources, first, label));
        let window = Window::new(sources, first.span, &near);
        let labels = near.iter().map(|label| window.label(label)).collect();
        let mut help = item.help.clone().unwrap_or_default();
        for label in far {
            let separator = if help.is_empty() { "" } else { "\n" };
            help = format!("{help}{separator}{}: {}", sources.position(label.span), label.text);
        }
        let help = Some(help).filter(|help| !help.is_empty());
        Self { item, window: Some(window), labels, help }
    }
}

fn close(sources: &Sources, a: &Label, b: &Label) -> bool {
    sources.position(a.span).line.abs_diff(sources.position(b.span).line) <= 20
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.item.message)
    }
}

impl std::error::Error for Frame<'_> {}

impl miette::Diagnostic for Frame<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.item.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.item.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.window.as_ref().map(|window| window as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// The lines around the labels of one diagnostic, long lines cut, so that the frame of a huge file is small and cheap.
struct Window {
    name: String,
    text: String,
    /// Number of the first line, counted from 0.
    first_line: usize,
    /// What `text` consists of, one piece per line.
    pieces: Vec<Piece>,
}

/// A piece of a line.
struct Piece {
    /// Offset in the file.
    file: usize,
    /// Offset in the text of the window.
    text: usize,
    /// Bytes.
    len: usize,
    /// Columns by which the window shows it too far left.
    cut: usize,
}

impl Window {
    fn new(sources: &Sources, place: Span, labels: &[&Label]) -> Self {
        let start = labels.iter().map(|label| label.span.start).min().unwrap_or(place.start);
        let end = labels.iter().map(|label| label.span.end).max().unwrap_or(place.end);
        let (around, base, first_line) = sources.surroundings(Span { file: place.file, start, end });
        let mut window =
            Self { name: sources.name(place.file).to_owned(), text: String::new(), first_line, pieces: Vec::new() };
        let mut offset = base;
        for line in around.split_inclusive('\n') {
            let focus = labels.iter().map(|label| label.span.start as usize).find(|at| {
                let line_end = offset + line.len();
                (offset..line_end).contains(at)
            });
            window.push_line(line, offset, focus.unwrap_or(offset) - offset);
            offset += line.len();
        }
        window
    }

    /// Adds a line that stands at `offset` of the file, if need be only what surrounds byte `focus` of it.
    fn push_line(&mut self, line: &str, offset: usize, focus: usize) {
        let content = line.trim_end_matches(['\n', '\r']);
        let (from, to) = if content.len() <= MAX_FRAME_LINE {
            (0, content.len())
        } else {
            let from = content.floor_char_boundary(focus.saturating_sub(MAX_FRAME_LINE / 4));
            (from, content.floor_char_boundary(from + MAX_FRAME_LINE))
        };
        let mut cut = content[..from].chars().count();
        if from > 0 {
            self.text.push_str("...");
            cut = cut.saturating_sub(3);
        }
        self.pieces.push(Piece { file: offset + from, text: self.text.len(), len: to - from, cut });
        self.text.push_str(&content[from..to]);
        if to < content.len() {
            self.text.push_str("...");
        }
        if line.len() > content.len() {
            self.text.push('\n');
        }
    }

    /// Where a byte of the file stands in the window; the nearest place that is shown if it was cut.
    fn offset(&self, byte: usize) -> usize {
        let piece = self.pieces.iter().rev().find(|piece| piece.file <= byte).or(self.pieces.first());
        piece.map_or(0, |piece| piece.text + byte.saturating_sub(piece.file).min(piece.len))
    }

    fn label(&self, label: &Label) -> LabeledSpan {
        let start = self.offset(label.span.start as usize);
        let end = self.offset(label.span.end as usize).max(start);
        let text = Some(label.text.clone()).filter(|text| !text.is_empty());
        LabeledSpan::new(text, start, end - start)
    }
}

impl SourceCode for Window {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_before: usize,
        context_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.read_span(span, context_before, context_after)?;
        let piece = self.pieces.iter().rev().find(|piece| piece.text <= span.offset());
        // Without context it is the position that is asked for, not the lines.
        let cut = piece.filter(|_| context_before == 0).map_or(0, |piece| piece.cut);
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            inner.data(),
            *inner.span(),
            inner.line() + self.first_line,
            inner.column() + cut,
            inner.line_count(),
        )))
    }
}
