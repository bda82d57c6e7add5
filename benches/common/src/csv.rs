//! The raw figures: one line per measurement.

use crate::percentile;
use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

/// The columns. A rate carries messages per second in `p50_us` and GB/s in `p99_us`; a single value stands in both.
pub const FIELDS: &str = "peer,lang,metric,size_bytes,p50_us,p99_us,n";

/// Writes rows of one system to the file named by `BENCH_CSV`, or to standard output if that is not set.
pub struct Csv {
    peer: String,
    lang: &'static str,
    file: Option<PathBuf>,
}

impl Csv {
    /// Rows of `peer`, unless `BENCH_PEER` gives another name.
    pub fn new(peer: &str) -> Self {
        let peer = std::env::var("BENCH_PEER").unwrap_or_else(|_| peer.into());
        Self { peer, lang: "rust", file: std::env::var_os("BENCH_CSV").map(PathBuf::from) }
    }

    /// Rows of `peer`, whatever `BENCH_PEER` says.
    pub fn named(peer: &str) -> Self {
        Self { peer: peer.into(), ..Self::new(peer) }
    }

    /// Rows of `peer` into `file`.
    pub fn to_file(peer: &str, file: &Path) -> Self {
        Self { peer: peer.into(), lang: "rust", file: Some(file.into()) }
    }

    /// Samples in nanoseconds, written as median and 99th percentile in microseconds.
    pub fn latency(&self, metric: &str, size: usize, samples_ns: Vec<u64>) {
        self.micros(metric, size, samples_ns.into_iter().map(|ns| ns as f64 / 1e3).collect());
    }

    /// Samples in microseconds, as their median and 99th percentile.
    pub fn micros(&self, metric: &str, size: usize, mut micros: Vec<f64>) {
        micros.sort_by(f64::total_cmp);
        self.value(metric, size, percentile(&micros, 0.5), percentile(&micros, 0.99), micros.len());
    }

    /// A rate: `count` messages of `size` bytes in `span_ns` nanoseconds.
    pub fn rate(&self, metric: &str, size: usize, count: usize, span_ns: u64) {
        let per_second = count as f64 / (span_ns as f64 / 1e9);
        self.write(metric, size, &format!("{per_second:.0},{:.3}", per_second * size as f64 / 1e9), count);
    }

    /// Any other value: its middle, its worst, and how many were seen.
    pub fn value(&self, metric: &str, size: usize, middle: f64, worst: f64, count: usize) {
        self.write(metric, size, &format!("{middle:.2},{worst:.2}"), count);
    }

    fn write(&self, metric: &str, size: usize, pair: &str, count: usize) {
        let line = format!("{},{},{metric},{size},{pair},{count}\n", self.peer, self.lang);
        match &self.file {
            None => print!("{line}"),
            Some(file) => {
                append(file, &line).unwrap_or_else(|error| eprintln!("cannot write {}: {error}", file.display()))
            }
        }
    }
}

/// One write per line, so that lines of several processes do not mix.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

/// One line read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The system measured.
    pub peer: String,
    /// What was measured.
    pub metric: String,
    /// Payload in bytes.
    pub size: usize,
    /// Median in microseconds, or messages per second, or a value.
    pub middle: f64,
    /// 99th percentile in microseconds, or GB/s, or the worst value.
    pub worst: f64,
    /// Samples.
    pub count: usize,
}

impl Row {
    /// Parses a line as [`Csv`] writes it; `None` for a header or anything else.
    pub fn parse(line: &str) -> Option<Self> {
        let [peer, _lang, metric, size, middle, worst, count] = line.split(',').collect::<Vec<_>>().try_into().ok()?;
        Some(Self {
            peer: peer.into(),
            metric: metric.into(),
            size: size.parse().ok()?,
            middle: middle.parse().ok()?,
            worst: worst.parse().ok()?,
            count: count.trim().parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rows_and_skips_the_header() {
        assert_eq!(Row::parse(FIELDS), None);
        let row = Row::parse("dora,rust,oneway_5ms_inplace,8,7.10,12.00,400");
        assert_eq!(row.map(|row| (row.size, row.middle, row.count)), Some((8, 7.1, 400)));
    }
}
