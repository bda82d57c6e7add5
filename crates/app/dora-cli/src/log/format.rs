//! How a line looks: for people in two lengths, and for programs.

use anstyle::{AnsiColor, Style};
use chrono::Local;
use clap::ValueEnum;
use dora_message::{log::LogLevel, supervision::OutputStream};

use super::Entry;

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Time, level, node, text.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
    /// Time, level, node, text; levels in capitals, no columns.
    Compact,
}

/// Colours of nodes: those that can be read on dark and on light ground.
const NODE_COLOURS: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Green,
    AnsiColor::Yellow,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightGreen,
    AnsiColor::BrightYellow,
    AnsiColor::BrightBlue,
];

/// The line with its newline.
pub(crate) fn line(entry: &Entry<'_>, format: Format, coloured: bool) -> String {
    match format {
        // A line of text always has a JSON form.
        Format::Json => serde_json::to_string(&entry.message()).unwrap_or_default() + "\n",
        Format::Pretty => people(entry, &format!("{:<6}", level_word(entry)), coloured),
        Format::Compact => people(entry, &level_word(entry).to_ascii_uppercase(), coloured),
    }
}

fn people(entry: &Entry<'_>, level: &str, coloured: bool) -> String {
    let paint = |style: Style, text: &str| if coloured { format!("{style}{text}{style:#}") } else { text.to_owned() };
    let time = entry.time.with_timezone(&Local).format("%H:%M:%S").to_string();
    let node = entry.node.map_or("[dora]", |node| node.as_str());
    let mut line = format!(
        "{} {} {}: ",
        paint(Style::new().dimmed(), &time),
        paint(level_style(entry.said.level), level),
        paint(node_style(entry), node)
    );
    if let Some(target) = &entry.said.target {
        line += &paint(Style::new().dimmed(), target);
        line.push(' ');
    }
    line += &entry.said.message;
    for (key, value) in entry.said.fields.iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        line += &paint(Style::new().dimmed(), &format!(" {key}={value}"));
    }
    line.push('\n');
    line
}

/// Plain text has no level; the name of its stream says more.
fn level_word(entry: &Entry<'_>) -> &'static str {
    match (entry.said.level, entry.stream) {
        (LogLevel::Error, _) => "ERROR",
        (LogLevel::Warn, _) => "WARN",
        (LogLevel::Info, _) => "INFO",
        (LogLevel::Debug, _) => "DEBUG",
        (LogLevel::Trace, _) => "TRACE",
        (LogLevel::Stdout, OutputStream::Stdout) => "stdout",
        (LogLevel::Stdout, OutputStream::Stderr) => "stderr",
    }
}

fn level_style(level: LogLevel) -> Style {
    match level {
        LogLevel::Error => Style::new().fg_color(Some(AnsiColor::Red.into())).bold(),
        LogLevel::Warn => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
        LogLevel::Info => Style::new().fg_color(Some(AnsiColor::Green.into())),
        LogLevel::Debug | LogLevel::Trace | LogLevel::Stdout => Style::new().dimmed(),
    }
}

/// The same node has the same colour in every run.
fn node_style(entry: &Entry<'_>) -> Style {
    let Some(node) = entry.node else { return Style::new().bold() };
    // FNV-1a: short, and spreads names that differ in one letter.
    let hash = node
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let colour = NODE_COLOURS[(hash % NODE_COLOURS.len() as u64) as usize];
    Style::new().fg_color(Some(colour.into())).bold()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the time, which depends on the zone.
    fn shown(entry: &Entry<'_>, format: Format) -> String {
        line(entry, format, false)[9..].to_owned()
    }

    #[test]
    fn for_people() {
        let text =
            r#"{"timestamp":"2026-01-02T03:04:05Z","level":"info","message":"on","target":"t","fields":{"k":"v"}}"#;
        assert_eq!(shown(&Entry::example("hello"), Format::Pretty), "stdout camera: hello\n");
        assert_eq!(shown(&Entry::example("hello"), Format::Compact), "STDOUT camera: hello\n");
        assert_eq!(shown(&Entry::example(text), Format::Pretty), "INFO   camera: t on k=v\n");
        let own = Entry::own(None, LogLevel::Warn, "odd".to_owned());
        assert_eq!(shown(&own, Format::Pretty), "WARN   [dora]: odd\n");
    }

    #[test]
    fn for_programs() {
        let value: serde_json::Value =
            serde_json::from_str(&line(&Entry::example("hello"), Format::Json, true)).unwrap();
        assert_eq!((value["level"].as_str(), value["message"].as_str()), (Some("stdout"), Some("hello")));
    }

    #[test]
    fn colours_only_on_request() {
        assert!(!line(&Entry::example("hello"), Format::Pretty, false).contains('\x1b'));
        assert!(line(&Entry::example("hello"), Format::Pretty, true).contains('\x1b'));
    }
}
