//! Command lines of the form `program word --key value --flag`.

use crate::Outcome;
use std::{collections::BTreeMap, str::FromStr};

/// A parsed command line.
///
/// ```
/// let args = bench_common::Args::parse(["oneway", "--size", "8"].map(String::from), &[]);
/// assert_eq!(args.word(), "oneway");
/// assert_eq!(args.get("size", 0usize).unwrap(), 8);
/// ```
pub struct Args {
    word: String,
    values: BTreeMap<String, String>,
}

impl Args {
    /// Parses `words`; a key listed in `flags` takes no value.
    pub fn parse(words: impl IntoIterator<Item = String>, flags: &[&str]) -> Self {
        let mut args = Self { word: String::new(), values: BTreeMap::new() };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some(key) if flags.contains(&key) => args.values.insert(key.into(), "true".into()),
                Some(key) => args.values.insert(key.into(), words.next().unwrap_or_default()),
                None => Some(std::mem::replace(&mut args.word, word)),
            };
        }
        args
    }

    /// The command line of this process.
    pub fn of_process(flags: &[&str]) -> Self {
        Self::parse(std::env::args().skip(1), flags)
    }

    /// The word without dashes: what to do. Empty if there was none.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// The value of `--key`, if given.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The value of `--key`, or `default`. An error if it cannot be parsed.
    pub fn get<T: FromStr>(&self, key: &str, default: T) -> Outcome<T> {
        self.text(key)
            .map_or(Ok(default), |text| text.parse().map_err(|_| format!("--{key}: cannot read `{text}`").into()))
    }

    /// `--pin A,B`: the CPU of each side. `None`: the scheduler chooses.
    pub fn pin(&self) -> Outcome<Option<(usize, usize)>> {
        let Some(text) = self.text("pin") else { return Ok(None) };
        let (a, b) = text.split_once(',').ok_or("--pin: expected two CPUs, as in `--pin 0,1`")?;
        Ok(Some((a.parse()?, b.parse()?)))
    }

    /// The first key that is not in `known`.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.values.keys().map(String::as_str).find(|key| !known.contains(key))
    }
}
