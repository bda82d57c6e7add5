//! The text of an input's source: `node/output`, `dora/timer/millis/100`, `dora/logs/warn/camera`, `_mod/port`.

use std::time::Duration;

use dora_message::id::{DataId, NodeId};

use crate::{
    diagnostic::Code,
    model::{LogLevel, Source},
    suggest,
};

/// The node id that stands for the inputs of a module, in its file.
pub(crate) const MODULE_PORTS: &str = "_mod";

/// A source as a file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DraftSource {
    /// An input of the module that the file describes.
    Port(DataId),
    /// Everything else.
    Ready(Source),
}

/// Why a text is no source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceError {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl SourceError {
    fn new(message: String) -> Self {
        Self { code: Code::InvalidSource, message, help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl From<dora_message::id::InvalidId> for SourceError {
    fn from(error: dora_message::id::InvalidId) -> Self {
        Self { code: Code::InvalidId, ..Self::new(error.to_string()) }
    }
}

const FORMS: &str = "a source is `node/output`, `node/operator/output`, `dora/timer/<unit>/<number>` or `dora/logs`";

/// Reads the text of a source.
pub(crate) fn parse(text: &str) -> Result<DraftSource, SourceError> {
    let Some((first, rest)) = text.split_once('/') else {
        let error = SourceError::new(format!("`{text}` names no output"));
        return Err(match text {
            "dora" => error.help("built-in sources are `dora/timer/millis/100`, `dora/logs`"),
            _ if text.parse::<NodeId>().is_ok() => error.help(format!("write `{text}/<output>`; {FORMS}")),
            _ => error.help(FORMS),
        });
    };
    match first {
        "dora" => built_in(rest).map(DraftSource::Ready),
        MODULE_PORTS => Ok(DraftSource::Port(rest.parse()?)),
        _ => Ok(DraftSource::Ready(Source::Node { node: first.parse()?, output: rest.parse()? })),
    }
}

fn built_in(text: &str) -> Result<Source, SourceError> {
    let (kind, rest) = text.split_once('/').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    match kind {
        "timer" => timer(rest.unwrap_or("")),
        "logs" => logs(rest),
        _ => {
            let help = suggest::did_you_mean(kind, "built-in sources", ["timer", "logs"]);
            Err(SourceError::new(format!("`dora/{kind}` is no built-in source")).maybe_help(help))
        }
    }
}

const UNITS: [&str; 5] = ["secs", "millis", "micros", "nanos", "hz"];

fn timer(text: &str) -> Result<Source, SourceError> {
    let (unit, number) = text.split_once('/').unwrap_or((text, ""));
    if !UNITS.contains(&unit) {
        let help = suggest::did_you_mean(unit, "units", UNITS);
        let message = match unit {
            "" => "the timer has no interval".to_owned(),
            _ => format!("`{unit}` is no unit of a timer"),
        };
        return Err(SourceError::new(message)
            .maybe_help(help)
            .or_help("write for example `dora/timer/millis/100` or `dora/timer/hz/30`"));
    }
    let interval = match unit {
        "hz" => from_hz(number)?,
        _ => {
            let count: u64 = number.parse().map_err(|_| {
                SourceError::new(format!("`{number}` is no whole number of {unit}"))
                    .help(format!("write for example `dora/timer/{unit}/100`; for fractions use a smaller unit"))
            })?;
            match unit {
                "secs" => Duration::from_secs(count),
                "millis" => Duration::from_millis(count),
                "micros" => Duration::from_micros(count),
                _ => Duration::from_nanos(count),
            }
        }
    };
    if interval.is_zero() {
        return Err(SourceError::new(format!("a timer of {unit}/{number} would never stop ticking"))
            .help("the interval must be longer than 0"));
    }
    Ok(Source::Timer { interval })
}

impl SourceError {
    fn or_help(mut self, help: &str) -> Self {
        self.help.get_or_insert_with(|| help.to_owned());
        self
    }
}

fn from_hz(number: &str) -> Result<Duration, SourceError> {
    let hz: Option<f64> = number.parse().ok().filter(|hz: &f64| hz.is_finite() && *hz > 0.0);
    hz.and_then(|hz| Duration::try_from_secs_f64(1.0 / hz).ok()).ok_or_else(|| {
        SourceError::new(format!("`{number}` is no frequency")).help("write a number above 0: `dora/timer/hz/30`")
    })
}

fn logs(rest: Option<&str>) -> Result<Source, SourceError> {
    let Some(rest) = rest else { return Ok(Source::Logs { level: None, node: None }) };
    let (word, node) = rest.split_once('/').map_or((rest, None), |(word, node)| (word, Some(node)));
    let Some(level) = LogLevel::from_word(word) else {
        let levels = LogLevel::ALL.map(LogLevel::as_str);
        return Err(SourceError::new(format!("`{word}` is no log level")).maybe_help(suggest::did_you_mean(
            word,
            "log levels",
            levels,
        )));
    };
    let node = node.map(str::parse).transpose()?;
    Ok(Source::Logs { level: Some(level), node })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(DraftSource::Port(port)) => format!("port {port}"),
            Ok(DraftSource::Ready(source)) => source.to_string(),
            Err(error) => format!("{}: {:?}", error.message, error.help.unwrap_or_default()),
        }
    }

    #[test]
    fn sources() {
        for (text, expected) in [
            ("camera/image", "camera/image"),
            ("node/op/out", "node/op/out"),
            ("_mod/port", "port port"),
            ("dora/timer/secs/2", "dora/timer/secs/2"),
            ("dora/timer/millis/1500", "dora/timer/millis/1500"),
            ("dora/timer/millis/2000", "dora/timer/secs/2"),
            ("dora/timer/hz/20", "dora/timer/millis/50"),
            ("dora/timer/hz/30", "dora/timer/nanos/33333333"),
            ("dora/timer/hz/0.5", "dora/timer/secs/2"),
            ("dora/logs", "dora/logs"),
            ("dora/logs/WARN", "dora/logs/warn"),
            ("dora/logs/info/a", "dora/logs/info/a"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn refused_sources() {
        let texts = [
            "camera",
            "",
            "dora",
            "/x",
            "a/",
            "a b/x",
            "a//b",
            "dora/timr/secs/1",
            "dora/timer",
            "dora/timer/milis/5",
            "dora/timer/millis",
            "dora/timer/millis/-5",
            "dora/timer/secs/0",
            "dora/timer/hz/0",
            "dora/timer/hz/inf",
            "dora/timer/hz/1e12",
            "dora/logs/wran",
            "dora/logs/info/a/b",
            "dora/logs/",
        ];
        let lines: String = texts.iter().map(|text| format!("{text} -> {}\n", shown(text))).collect();
        expect_test::expect![[r#"
            camera -> `camera` names no output: "write `camera/<output>`; a source is `node/output`, `node/operator/output`, `dora/timer/<unit>/<number>` or `dora/logs`"
             -> `` names no output: "a source is `node/output`, `node/operator/output`, `dora/timer/<unit>/<number>` or `dora/logs`"
            dora -> `dora` names no output: "built-in sources are `dora/timer/millis/100`, `dora/logs`"
            /x -> node id must not be empty: ""
            a/ -> input or output id must not be empty: ""
            a b/x -> node id `a b` contains ` `; allowed are letters, digits and `_`, `.`, `-`: ""
            a//b -> input or output id `/b` must not start or end with `/` nor contain `//`: ""
            dora/timr/secs/1 -> `dora/timr` is no built-in source: "did you mean `timer`?"
            dora/timer -> the timer has no interval: "units: `secs`, `millis`, `micros`, `nanos`, `hz`"
            dora/timer/milis/5 -> `milis` is no unit of a timer: "did you mean `millis`?"
            dora/timer/millis -> `` is no whole number of millis: "write for example `dora/timer/millis/100`; for fractions use a smaller unit"
            dora/timer/millis/-5 -> `-5` is no whole number of millis: "write for example `dora/timer/millis/100`; for fractions use a smaller unit"
            dora/timer/secs/0 -> a timer of secs/0 would never stop ticking: "the interval must be longer than 0"
            dora/timer/hz/0 -> `0` is no frequency: "write a number above 0: `dora/timer/hz/30`"
            dora/timer/hz/inf -> `inf` is no frequency: "write a number above 0: `dora/timer/hz/30`"
            dora/timer/hz/1e12 -> a timer of hz/1e12 would never stop ticking: "the interval must be longer than 0"
            dora/logs/wran -> `wran` is no log level: "did you mean `warn`?"
            dora/logs/info/a/b -> node id `a/b` contains `/`; allowed are letters, digits and `_`, `.`, `-`: ""
            dora/logs/ -> `` is no log level: "log levels: `error`, `warn`, `info`, `debug`, `trace`, `stdout`"
        "#]].assert_eq(&lines);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_panics(text in "(dora/(timer|logs)/)?[a-z0-9/._-]{0,20}") {
            if let Ok(DraftSource::Ready(source)) = parse(&text) {
                prop_assert_eq!(parse(&source.to_string()), Ok(DraftSource::Ready(source)));
            }
        }
    }
}
