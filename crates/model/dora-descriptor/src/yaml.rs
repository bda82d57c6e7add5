//! YAML text as a tree in which everything keeps its place, its text and its order.
//!
//! Scalars are not interpreted: what `1.10` means depends on the key it belongs to. Duplicate keys are kept, so that the
//! decoder can report both. This module must not know what a dataflow is.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::{
    diagnostic::{Code, Diagnostic},
    source::{FileId, Span},
};

/// Nesting that is accepted; a dataflow needs about ten levels.
const MAX_DEPTH: usize = 64;
/// Values that aliases may add to a file, against aliases of aliases of aliases.
const MAX_ALIASED: usize = 100_000;

/// A value of a YAML file.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// Where it stands; of a list or map that spans lines, only the first line.
    pub(crate) span: Span,
    pub(crate) data: Data,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    Scalar(Scalar),
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
}

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// The text, escapes resolved.
    pub(crate) text: String,
    /// Without quotes, and not a block: only such a text can be a number, a boolean or null.
    pub(crate) plain: bool,
}

impl Scalar {
    /// Whether it stands for nothing.
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The boolean it stands for.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.text.as_str() {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }
}

impl Tree {
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar(scalar) if scalar.is_null())
    }

    /// What it is, for "found ...".
    pub(crate) fn describe(&self) -> String {
        match &self.data {
            Data::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
            Data::Scalar(scalar) if scalar.plain => format!("`{}`", shortened(&scalar.text)),
            Data::Scalar(scalar) => format!("the text \"{}\"", shortened(&scalar.text)),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a map".to_owned(),
        }
    }

    fn measure(&self) -> (usize, usize) {
        let join = |(count, depth): (usize, usize), child: &Tree| {
            let (child_count, child_depth) = child.measure();
            (count + child_count, depth.max(child_depth + 1))
        };
        match &self.data {
            Data::Scalar(_) => (1, 1),
            Data::List(items) => items.iter().fold((1, 1), join),
            Data::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).fold((1, 1), join),
        }
    }
}

/// At most the first line and 60 characters of a text.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None if line.len() < text.trim_end().len() => format!("{line}..."),
        None => line.to_owned(),
    }
}

/// Reads the one YAML document of a file. `None` if the file holds nothing.
pub(crate) fn parse(file: FileId, text: &str) -> Result<Option<Tree>, Diagnostic> {
    let mut builder = Builder {
        file,
        text,
        index: CharIndex::new(text),
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        aliased: 0,
    };
    let mut parser = Parser::new_from_str(text);
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.scan_error(&error))?;
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    let span = builder.span(span.start, span.end);
                    return Err(Diagnostic::error(Code::Syntax, span, "a file holds one dataflow")
                        .label("a second document starts here")
                        .help("put it into a file of its own"));
                }
            }
            Event::StreamEnd => break,
            other => builder.event(other, builder.span(span.start, span.end))?,
        }
    }
    Ok(builder.root)
}

/// Puts events together.
struct Builder<'a> {
    file: FileId,
    text: &'a str,
    index: CharIndex<'a>,
    open: Vec<Open>,
    root: Option<Tree>,
    anchors: HashMap<usize, Tree>,
    /// Values that aliases have added so far.
    aliased: usize,
}

/// A list or map whose end has not come yet.
struct Open {
    span: Span,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>, Option<Tree>),
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.forces_text(tag.as_deref(), span)?;
                let scalar = Scalar { text: text.into_owned(), plain };
                self.close(anchor, Tree { span, data: Data::Scalar(scalar) });
            }
            Event::SequenceStart(anchor, tag) => self.open(span, anchor, tag.as_deref(), OpenKind::List(Vec::new()))?,
            Event::MappingStart(anchor, tag) => {
                self.open(span, anchor, tag.as_deref(), OpenKind::Map(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let data = match open.kind {
                        OpenKind::List(items) => Data::List(items),
                        OpenKind::Map(entries, _) => Data::Map(entries),
                    };
                    let span = self.first_line(open.span.start, span.end);
                    self.close(open.anchor, Tree { span, data });
                }
            }
            Event::Alias(anchor) => self.alias(anchor, span)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, span: Span, anchor: usize, tag: Option<&Tag>, kind: OpenKind) -> Result<(), Diagnostic> {
        self.forces_text(tag, span)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(span));
        }
        self.open.push(Open { span, anchor, kind });
        Ok(())
    }

    /// Hands a finished value to the list or map that holds it.
    fn close(&mut self, anchor: usize, tree: Tree) {
        if anchor != 0 {
            self.anchors.insert(anchor, tree.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            Some(OpenKind::List(items)) => items.push(tree),
            Some(OpenKind::Map(entries, key)) => match key.take() {
                Some(key) => entries.push((key, tree)),
                None => *key = Some(tree),
            },
            None => self.root = Some(tree),
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        let Some(tree) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error(Code::Syntax, span, "an alias must not stand inside the value it names"));
        };
        let (count, depth) = tree.measure();
        self.aliased += count;
        if self.aliased > MAX_ALIASED {
            let message = format!("the aliases of this file stand for more than {MAX_ALIASED} values");
            return Err(Diagnostic::error(Code::Syntax, span, message).help("write the values out, or use modules"));
        }
        if self.open.len() + depth > MAX_DEPTH {
            return Err(too_deep(span));
        }
        // The place of an aliased value is where it is written, which is also where a mistake in it is mended.
        let tree = tree.clone();
        self.close(0, tree);
        Ok(())
    }

    /// Whether a tag makes a plain scalar a text. Tags that would need their own interpretation are refused.
    fn forces_text(&self, tag: Option<&Tag>, span: Span) -> Result<bool, Diagnostic> {
        match tag {
            None => Ok(false),
            Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
                "str" => Ok(true),
                "int" | "float" | "bool" | "null" | "seq" | "map" => Ok(false),
                _ => Err(unknown_tag(tag, span)),
            },
            Some(tag) => Err(unknown_tag(tag, span)),
        }
    }

    fn span(&self, start: Marker, end: Marker) -> Span {
        let start = self.index.byte(start.index());
        let end = self.index.byte(end.index()).max(start);
        // The parser ends a plain scalar after the blanks that follow it.
        let end = start + self.text[start..end].trim_end().len();
        Span { file: self.file, start: start as u32, end: end as u32 }
    }

    fn first_line(&self, start: u32, end: u32) -> Span {
        let text = &self.text[start as usize..end.max(start) as usize];
        let line = text.lines().next().unwrap_or("").trim_end();
        Span { file: self.file, start, end: start + line.len() as u32 }
    }

    fn scan_error(&self, error: &ScanError) -> Diagnostic {
        let at = self.index.byte(error.marker().index().min(self.index.chars));
        let mut span = Span { file: self.file, start: at as u32, end: at as u32 };
        let rest = self.text[at..].chars().next();
        if let Some(found) = rest.filter(|found| *found != '\n') {
            span.end += found.len_utf8() as u32;
        }
        let line = self.text[..at].rsplit('\n').next().unwrap_or("");
        let tab = rest == Some('\t') || line.contains('\t');
        Diagnostic::error(Code::Syntax, span, format!("this is not YAML: {}", error.info()))
            .help(match tab {
                true => "indent with spaces; YAML does not allow tabs there",
                false => "the keys of one node stand below each other; a list item begins with `- `, a text with special characters with a quote",
            })
    }
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(Code::Syntax, span, format!("values are nested more than {MAX_DEPTH} deep"))
}

fn unknown_tag(tag: &Tag, span: Span) -> Diagnostic {
    Diagnostic::error(Code::Syntax, span, format!("the tag `{tag}` has no meaning in a dataflow file"))
        .help("remove the tag")
}

/// From numbers of characters, which the parser counts, to bytes.
struct CharIndex<'a> {
    text: &'a str,
    /// Offset of every 128th character; empty if all characters are one byte.
    samples: Vec<usize>,
    chars: usize,
}

const SAMPLE: usize = 128;

impl<'a> CharIndex<'a> {
    fn new(text: &'a str) -> Self {
        if text.is_ascii() {
            return Self { text, samples: Vec::new(), chars: text.len() };
        }
        let samples: Vec<usize> = text.char_indices().step_by(SAMPLE).map(|(at, _)| at).collect();
        Self { text, samples, chars: text.chars().count() }
    }

    fn byte(&self, char: usize) -> usize {
        if char >= self.chars {
            return self.text.len();
        }
        let Some(sample) = self.samples.get(char / SAMPLE) else { return char };
        let rest = &self.text[*sample..];
        sample + rest.char_indices().nth(char % SAMPLE).map_or(rest.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Sources;

    /// One line per value: its place, its text.
    fn outline(text: &str) -> String {
        let mut sources = Sources::default();
        let file = sources.add("f".to_owned(), text.into());
        fn walk(tree: &Tree, sources: &Sources, out: &mut String) {
            let position = sources.position(tree.span);
            let kind = match &tree.data {
                Data::Scalar(scalar) if scalar.plain => format!("plain {:?}", scalar.text),
                Data::Scalar(scalar) => format!("text {:?}", scalar.text),
                Data::List(items) => format!("list {}", items.len()),
                Data::Map(entries) => format!("map {}", entries.len()),
            };
            out.push_str(&format!("{}:{} {kind} <{}>\n", position.line, position.column, sources.slice(tree.span)));
            match &tree.data {
                Data::Scalar(_) => {}
                Data::List(items) => items.iter().for_each(|item| walk(item, sources, out)),
                Data::Map(entries) => entries.iter().for_each(|(key, value)| {
                    walk(key, sources, out);
                    walk(value, sources, out);
                }),
            }
        }
        let mut out = String::new();
        match parse(file, text) {
            Ok(Some(tree)) => walk(&tree, &sources, &mut out),
            Ok(None) => out.push_str("nothing"),
            Err(error) => {
                out = format!("{}: {} {:?}", sources.position(error.labels[0].span), error.message, error.help);
            }
        }
        out
    }

    #[test]
    fn everything_keeps_its_place_and_text() {
        let text = "\u{e9}: 1.10   # c\r\nb:\r\n  - 'x'\r\n  - {y: \"\\u00e9\", z: }\nc: |\n  one\n  two\n";
        expect_test::expect![[r#"
            1:1 map 3 <é: 1.10   # c>
            1:1 plain "é" <é>
            1:4 plain "1.10" <1.10>
            2:1 plain "b" <b>
            3:3 list 2 <- 'x'>
            3:5 text "x" <'x'>
            4:5 map 2 <{y: "\u00e9", z: }>
            4:6 plain "y" <y>
            4:9 text "é" <"\u00e9">
            4:19 plain "z" <z>
            4:20 plain "" <>
            5:1 plain "c" <c>
            6:3 text "one\ntwo\n" <one
              two>
        "#]]
        .assert_eq(&outline(text));
    }

    #[test]
    fn aliases_are_bounded() {
        assert!(outline("a: &x [1, 2]\nb: *x\n").contains("plain \"b\""));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let aliases = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(outline(&bomb).contains("more than 100000 values"), "{}", outline(&bomb));
        assert!(outline("a: &a [*a]").contains("inside the value"));
    }

    #[test]
    fn depth_is_bounded() {
        assert!(outline(&format!("{}{}", "[".repeat(100), "]".repeat(100))).contains("nested more than 64 deep"));
        let mut chain = "a0: &a0 [x]\n".to_owned();
        for level in 1..100 {
            chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert!(outline(&chain).contains("nested more than 64 deep"));
    }

    #[test]
    fn what_is_not_allowed() {
        assert!(outline("a: 1\n---\nb: 1\n").contains("one dataflow"));
        assert!(outline("a: !secret x").contains("!secret"));
        assert!(outline("a: !!str 1").contains("text \"1\""));
        assert!(outline("a:\n\tb: 1").contains("tabs"), "{}", outline("a:\n\tb: 1"));
        assert_eq!(outline("# nothing\n"), "nothing");
        assert!(outline("a: [1, 2").contains("not YAML"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_panics(text in "(?s).{0,80}") {
            outline(&text);
        }

        #[test]
        fn no_yaml_like_text_panics(text in "[-:{}\\[\\],&*!|>'\"%@`?# \\n\\ta-c\u{e9}~<.0-9]{0,60}") {
            outline(&text);
        }
    }
}
