//! Scalars: what each shape accepts, and what is said about the rest.

use std::{fmt::Display, str::FromStr, time::Duration};

use dora_message::id::{DataId, NodeId, OperatorId};

use super::fields::Value;
use crate::{
    diagnostic::{Code, Diagnostic},
    keys::{MapKey, Shape},
    source::Span,
    suggest,
    yaml::{Scalar, shortened},
};

/// Why a scalar does not have its shape.
pub(crate) struct Refusal {
    code: Code,
    message: String,
    help: Option<String>,
}

impl Refusal {
    fn new(message: impl Into<String>) -> Self {
        Self { code: Code::InvalidValue, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn into_diagnostic(self, span: Span) -> Diagnostic {
        Diagnostic::error(self.code, span, self.message).maybe_help(self.help)
    }
}

/// What a shape accepts, for "expected ...".
pub(crate) fn expected(shape: Shape) -> String {
    match shape {
        Shape::Text => "a text".to_owned(),
        Shape::Filled => "a text that is not empty".to_owned(),
        Shape::EnvValue => "a text, a number or a boolean".to_owned(),
        Shape::NodeId => "a node id".to_owned(),
        Shape::DataId => "the id of an input or output".to_owned(),
        Shape::OperatorId => "an operator id".to_owned(),
        Shape::Source => "a source such as `node/output` or `dora/timer/millis/100`".to_owned(),
        Shape::Sha256 => "64 hexadecimal digits".to_owned(),
        Shape::Bool => "`true` or `false`".to_owned(),
        Shape::Int(min, u32::MAX) => format!("a whole number, at least {min}"),
        Shape::Int(min, max) => format!("a whole number from {min} to {max}"),
        Shape::Seconds(true) => "a number of seconds, at least 0".to_owned(),
        Shape::Seconds(false) => "a number of seconds, more than 0".to_owned(),
        Shape::Bytes => "a number of bytes such as 1048576 or 64MB".to_owned(),
        Shape::Word(words, _) => format!("one of {}", suggest::list(words.iter().copied()).unwrap_or_default()),
        Shape::List(item) => format!("a list, each item {}", expected(*item)),
        Shape::Map(_, _) => "a map".to_owned(),
        Shape::Object(object) => format!("a map, {}", object.what),
        Shape::Either(scalar, object) => format!("{}, or a map, {}", expected(*scalar), object.what),
        Shape::Any => "anything".to_owned(),
    }
}

/// Gives a scalar its shape.
pub(crate) fn decode(shape: Shape, scalar: &Scalar) -> Result<Value, Refusal> {
    let text = scalar.text.as_str();
    let refused = || Refusal::new(format!("expected {}, found {}", expected(shape), described(scalar)));
    match shape {
        Shape::EnvValue if scalar.is_null() => Err(refused().help("write \"\" for an empty text")),
        _ if scalar.is_null() => Err(refused()),
        Shape::Filled if text.trim().is_empty() => Err(refused()),
        Shape::Text | Shape::Filled | Shape::EnvValue => Ok(Value::Text(text.to_owned())),
        Shape::Source if text.is_empty() => Err(refused()),
        Shape::Source => Ok(Value::Text(text.to_owned())),
        Shape::NodeId => id::<NodeId>(text),
        Shape::DataId => id::<DataId>(text),
        Shape::OperatorId if text.contains('/') => Err(Refusal {
            code: Code::InvalidId,
            ..Refusal::new(format!("operator id `{text}` must not contain `/`"))
                .help(format!("write for example `{}`", text.replace('/', "_")))
        }),
        // It becomes a part of the ids of its ports.
        Shape::OperatorId => id::<OperatorId>(text).and_then(|_| id::<DataId>(text)),
        Shape::Sha256 => match text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Value::Text(text.to_ascii_lowercase())),
            false => Err(refused()),
        },
        Shape::Bool => scalar.as_bool().map(Value::Bool).ok_or_else(|| match text.to_lowercase().as_str() {
            "yes" | "on" => refused().help("write `true`"),
            "no" | "off" => refused().help("write `false`"),
            "true" | "false" if !scalar.plain => refused().help("remove the quotes"),
            _ => refused(),
        }),
        Shape::Int(min, max) => match whole_number(text).filter(|_| scalar.plain) {
            Some(value) if (i64::from(min)..=i64::from(max)).contains(&value) => Ok(Value::Int(value as u32)),
            _ => Err(quotes_or(scalar, whole_number(text).is_some(), refused())),
        },
        Shape::Seconds(zero) => match seconds(text).filter(|_| scalar.plain) {
            Some(value) if zero || !value.is_zero() => Ok(Value::Seconds(value)),
            _ => Err(quotes_or(scalar, seconds(text).is_some(), refused())),
        },
        Shape::Bytes => bytes(text).map(Value::Bytes).ok_or_else(|| refused().help("units: B, KB, MB, GB (of 1024)")),
        Shape::Word(words, ignore_case) => {
            let same = |word: &&&str| **word == text || (ignore_case && word.eq_ignore_ascii_case(text));
            let word = words.iter().find(same).ok_or_else(|| {
                let near = suggest::nearest(text, words.iter().copied());
                let refusal = refused();
                match near {
                    Some(near) => refusal.help(format!("did you mean `{near}`?")),
                    None => refusal,
                }
            })?;
            Ok(Value::Text((*word).to_owned()))
        }
        Shape::List(Shape::DataId | Shape::Text | Shape::Filled) => {
            Err(refused().help(format!("write a list: [{}]", shortened(text))))
        }
        Shape::List(_) | Shape::Map(_, _) | Shape::Object(_) | Shape::Either(_, _) | Shape::Any => Err(refused()),
    }
}

fn described(scalar: &Scalar) -> String {
    match (scalar.is_null(), scalar.plain) {
        (true, _) => "nothing".to_owned(),
        (_, true) => format!("`{}`", shortened(&scalar.text)),
        (_, false) => format!("the text \"{}\"", shortened(&scalar.text)),
    }
}

fn quotes_or(scalar: &Scalar, number: bool, refusal: Refusal) -> Refusal {
    if number && !scalar.plain { refusal.help("remove the quotes") } else { refusal }
}

fn id<T: FromStr<Err: Display>>(text: &str) -> Result<Value, Refusal> {
    match text.parse::<T>() {
        Ok(_) => Ok(Value::Text(text.to_owned())),
        Err(error) => {
            let near = with_allowed_characters(text);
            let help = match near.contains(|c: char| c.is_ascii_alphanumeric()) {
                true => near.parse::<T>().is_ok().then(|| format!("write for example `{near}`")),
                // What is left of a name in Chinese says nothing, and is the same for each of its length.
                false => Some("ids are written in ASCII, for example `camera_1`".to_owned()),
            };
            Err(Refusal { code: Code::InvalidId, message: error.to_string(), help })
        }
    }
}

/// The nearest text that may be an id.
fn with_allowed_characters(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let replaced: String = text.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    let parts: Vec<&str> = replaced.split('/').filter(|part| !part.is_empty()).collect();
    parts.join("/").trim_start_matches('.').to_owned()
}

/// A whole number as YAML writes it: decimal, `0x..` or `0o..`.
fn whole_number(text: &str) -> Option<i64> {
    let digits = |rest: &str, radix| {
        // The parser of the standard library would accept another sign here.
        rest.starts_with(|c: char| c.is_ascii_hexdigit()).then(|| i64::from_str_radix(rest, radix).ok()).flatten()
    };
    if let Some(rest) = text.strip_prefix("0x") {
        return digits(rest, 16);
    }
    if let Some(rest) = text.strip_prefix("0o") {
        return digits(rest, 8);
    }
    text.parse().ok()
}

/// A number of seconds: finite, not negative, within what a `Duration` holds.
fn seconds(text: &str) -> Option<Duration> {
    // Words such as `inf` and `nan` are numbers to the standard library, not to YAML.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return None;
    }
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// A number of bytes: `1048576`, `64MB`, `1.5 GB`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = (text[..split].trim(), &text[split..]);
    let factor: u64 = match unit.to_ascii_uppercase().as_str() {
        "" if number.contains('.') => return None,
        "" | "B" => 1,
        "K" | "KB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        _ => return None,
    };
    if !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
        return None;
    }
    if let Ok(number) = number.parse::<u64>() {
        return number.checked_mul(factor);
    }
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// Writes a number of bytes in the coarsest unit that is exact.
pub(crate) fn format_bytes(bytes: u64) -> String {
    let (unit, size) = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)]
        .into_iter()
        .find(|(_, size)| bytes != 0 && bytes.is_multiple_of(*size))
        .unwrap_or(("", 1));
    format!("{}{unit}", bytes / size)
}

/// Checks a key of the user's choice.
pub(crate) fn check_map_key(kind: MapKey, name: &str) -> Result<(), Refusal> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match kind {
        MapKey::DataId => id::<DataId>(name).map(|_| ()),
        MapKey::EnvName if name.is_empty() || name.contains(|c: char| c == '=' || c == '\0' || c.is_whitespace()) => {
            Err(Refusal::new(format!("`{}` cannot be the name of an environment variable", shortened(name)))
                .help("a name is not empty and has no `=`, no blank and no NUL"))
        }
        MapKey::Param if name.is_empty() || !name.chars().all(word) => {
            Err(Refusal::new(format!("`{}` cannot be the name of a parameter", shortened(name)))
                .help("letters, digits and `_` are allowed"))
        }
        MapKey::Text | MapKey::EnvName | MapKey::Param => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_get_a_suggestion_that_says_something() {
        let help = |text| id::<NodeId>(text).expect_err("no id").help.unwrap_or_default();
        assert_eq!(help("front camera"), "write for example `front_camera`");
        assert_eq!(help("相机 1"), "write for example `___1`");
        assert_eq!(help("相机"), "ids are written in ASCII, for example `camera_1`");
    }

    #[test]
    fn sizes() {
        let cases = [
            ("0", Some(0)),
            ("64MB", Some(64 << 20)),
            (" 64 mb ", Some(64 << 20)),
            ("1.5K", Some(1536)),
            ("10B", Some(10)),
            ("1.5", None),
            ("-1", None),
            ("MB", None),
            ("1TB", None),
            ("1e3", None),
            ("99999999999999999999", None),
            ("99999999999GB", None),
            ("1.MB", None),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes(text), expected, "{text}");
        }
        for bytes in [0, 1, 1024, 1536, 64 << 20, 3 << 30, u64::MAX] {
            assert_eq!(super::bytes(&format_bytes(bytes)), Some(bytes));
        }
    }

    #[test]
    fn numbers_of_seconds() {
        let cases = [
            ("0", Some(Duration::ZERO)),
            ("1.5", Some(Duration::from_millis(1500))),
            ("1e-3", Some(Duration::from_millis(1))),
            ("-1", None),
            ("inf", None),
            ("nan", None),
            (".inf", None),
            ("1e30", None),
            ("x", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn whole_numbers() {
        for (text, expected) in [
            ("10", Some(10)),
            ("007", Some(7)),
            ("+3", Some(3)),
            ("0x1F", Some(31)),
            ("0o17", Some(15)),
            ("-2", Some(-2)),
        ] {
            assert_eq!(whole_number(text), expected, "{text}");
        }
        for text in ["", "1.0", "0x", "0x-1", "1_000", "ten"] {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }
}
