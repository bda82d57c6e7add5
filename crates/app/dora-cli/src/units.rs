//! Durations and sizes as a person writes them on the command line.

use std::time::Duration;

/// Reads a duration: `30` (seconds), `500ms`, `10s`, `5m`, `1h30m`, `1.5s`.
///
/// ```
/// # use std::time::Duration;
/// assert_eq!(dora_cli::parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
/// assert!(dora_cli::parse_duration("soon").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a duration such as `30` (seconds), `500ms`, `10s`, `5m` or `1h30m`";
    if let Some(seconds) = plain_number(text) {
        return Duration::try_from_secs_f64(seconds).map_err(|_| EXPECTED.to_owned());
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let unit = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(EXPECTED.to_owned()),
        };
        let part = plain_number(number).and_then(|number| Duration::try_from_secs_f64(number * unit).ok());
        total = part.and_then(|part| total.checked_add(part)).ok_or(EXPECTED)?;
        rest = after;
    }
    if text.is_empty() { Err(EXPECTED.to_owned()) } else { Ok(total) }
}

/// Reads a size in bytes: `4096`, `64KB`, `512MB`, `2G`; units are powers of 1024.
///
/// ```
/// assert_eq!(dora_cli::parse_size("64KB"), Ok(65536));
/// assert!(dora_cli::parse_size("plenty").is_err());
/// ```
pub fn parse_size(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a size such as `64MB`, `512M`, `2GB` or a number of bytes";
    let (number, unit) = split_number(text);
    let shift = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(EXPECTED.to_owned()),
    };
    let bytes = plain_number(number.trim()).map(|number| number * (1_u64 << shift) as f64).ok_or(EXPECTED)?;
    if bytes < 1.0 || bytes >= (1_u64 << 62) as f64 {
        return Err(format!("{EXPECTED}, at least 1 byte"));
    }
    Ok(bytes as u64)
}

/// `bytes` for a person: `1.5 MiB`.
pub(crate) fn show_size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if value.fract() == 0.0 { format!("{value} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A duration in nanoseconds for a person, in three digits at most: `850 ns`, `12.5 us`, `1.2 s`.
pub(crate) fn show_nanos(nanos: u64) -> String {
    let units = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    let (unit, size) = units.into_iter().rev().find(|(_, size)| nanos as f64 >= *size).unwrap_or(units[0]);
    let value = nanos as f64 / size;
    if value.fract() == 0.0 || value >= 100.0 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Digits and at most one point, so that neither signs nor `inf` pass.
fn plain_number(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let good =
            [("30", 30_000), ("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1.5s", 1500)];
        for (text, millis) in good {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "-1", "1d", "1 s", "1h30", "inf", "1e3", "99999999999999999999h", ".", "1..2s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        let good = [("4096", 4096), ("1K", 1024), ("64MB", 64 << 20), ("0.5g", 512 << 20), ("2 GiB", 2 << 30)];
        for (text, bytes) in good {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "0", "MB", "-1", "1X", "999999999T"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quantities_are_shown_short() {
        assert_eq!([0, 1024, 1536 << 10].map(show_size), ["0 B", "1 KiB", "1.5 MiB"]);
        assert_eq!([0, 850, 12_500, 1_234_567_890].map(show_nanos), ["0 ns", "850 ns", "12.5 us", "1.2 s"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,24}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }

        #[test]
        fn milliseconds_are_exact(millis in 0_u64..1_000_000_000) {
            prop_assert_eq!(parse_duration(&format!("{millis}ms")).map(|d| d.as_micros()), Ok(u128::from(millis) * 1000));
        }
    }
}
