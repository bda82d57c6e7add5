//! The command line of the driver.

use bench_common::{Args, Outcome};
use std::path::{Path, PathBuf};

/// What `--help` prints.
pub const HELP: &str = "\
Measures dora, the floor of the machine and other systems in one run, and prints a table in Markdown.

Usage: dora-bench [options]

  --only GROUPS      Some groups: oneway,async,pingpong,copy,throughput,fanout,chain,startup,edges,release,restart,stop,idle,
                     logs,control,recovery,python
  --peer PEERS       What to compare with: floor,iceoryx2,dora-rs (default: floor,iceoryx2)
  --rounds N         How often everything is measured (default 3; the table shows the median of the rounds)
  --quick            Fewer turns and messages, one round
  --quiet SECONDS    Wait at most so long for a quiet machine before each figure (default 40; 0: do not wait)
  --out DIR          Where raw.csv and table.md go (default benches/results/DATE)
  --table FILE       Measure nothing: print the table of this raw.csv
  --dora PATH        The dora to measure (default: beside this program)
  --peers DIR        Binaries of benches/peers (default target-peers/release)
  --dora-rs-cli PATH The command line of dora-rs 1.1 (default: dora on the PATH); its Python is looked for beside it
  --python PATH      An interpreter with the module of this project; `cargo xtask bench` names one

The peers are built by
  cargo build --release --manifest-path benches/peers/Cargo.toml --target-dir target-peers
Examples:
  dora-bench --quick --only oneway,pingpong
  dora-bench --peer floor,iceoryx2,dora-rs --dora-rs-cli venv/bin/dora
";

/// All groups of measurements, in the order in which they run.
pub const GROUPS: [&str; 17] = [
    "oneway",
    "async",
    "pingpong",
    "copy",
    "throughput",
    "fanout",
    "chain",
    "startup",
    "edges",
    "release",
    "restart",
    "stop",
    "idle",
    "logs",
    "control",
    "recovery",
    "python",
];
const PEERS: [&str; 3] = ["floor", "iceoryx2", "dora-rs"];
const KEYS: [&str; 11] =
    ["only", "peer", "rounds", "quick", "quiet", "out", "table", "dora", "peers", "dora-rs-cli", "python"];

/// What the driver was asked to do.
pub struct Options {
    /// Groups to measure.
    pub groups: Vec<String>,
    /// Systems to compare with.
    pub peers: Vec<String>,
    /// How often.
    pub rounds: usize,
    /// Fewer messages.
    pub quick: bool,
    /// Longest wait for a quiet machine, in seconds.
    pub quiet_s: u64,
    /// Where results go.
    pub out: PathBuf,
    /// A raw.csv to show instead of measuring.
    pub table: Option<PathBuf>,
    /// Our command line.
    pub dora: PathBuf,
    /// Where the programs of benches/peers are.
    pub peers_dir: PathBuf,
    /// The command line of dora-rs.
    pub dora_rs_cli: PathBuf,
    /// An interpreter that has our module.
    pub python: Option<PathBuf>,
}

impl Options {
    /// Reads the command line; `None` if help was asked for.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Outcome<Option<Self>> {
        let args = Args::parse(words, &["help", "quick"]);
        if args.text("help").is_some() || args.word() == "help" {
            return Ok(None);
        }
        if let Some(key) = args.unknown(&KEYS) {
            return Err(format!("unknown option --{key}; `dora-bench --help` lists them").into());
        }
        let benches = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Programs run in a folder of their own; a bare name is looked up on the PATH.
        let path = |key: &str, default: PathBuf| match args.text(key) {
            Some(given) if given.contains('/') => std::path::absolute(given),
            given => Ok(given.map_or(default, PathBuf::from)),
        };
        let quick = args.text("quick").is_some();
        let date = chrono::Local::now().format("%Y-%m-%d-%H%M").to_string();
        Ok(Some(Self {
            groups: list("only", args.text("only"), &GROUPS, &GROUPS)?,
            peers: list("peer", args.text("peer"), &PEERS[..2], &PEERS)?,
            rounds: args.get("rounds", if quick { 1 } else { 3 })?,
            quick,
            quiet_s: args.get("quiet", 40)?,
            out: path("out", benches.join("results").join(date))?,
            table: args.text("table").map(PathBuf::from),
            dora: path("dora", beside_us("dora")?)?,
            peers_dir: path("peers", benches.join("../target-peers/release"))?,
            dora_rs_cli: path("dora-rs-cli", "dora".into())?,
            python: args.text("python").map(std::path::absolute).transpose()?,
        }))
    }
}

/// The path of a program that was built together with this one.
pub fn beside_us(program: &str) -> Outcome<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(program))
}

fn list(key: &str, given: Option<&str>, default: &[&str], known: &[&str]) -> Outcome<Vec<String>> {
    let Some(given) = given else { return Ok(default.iter().map(ToString::to_string).collect()) };
    let words: Vec<String> = given.split(',').filter(|word| !word.is_empty()).map(String::from).collect();
    match words.iter().find(|word| !known.contains(&word.as_str())) {
        Some(word) => Err(format!("--{key}: unknown `{word}`; expected some of {}", known.join(",")).into()),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Outcome<Option<Options>> {
        Options::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn understands_its_options_and_refuses_others() {
        let options = parse("--quick --only oneway,chain --peer floor --quiet 0").unwrap().unwrap();
        assert_eq!((options.rounds, options.quiet_s, options.quick), (1, 0, true));
        assert_eq!((options.groups.len(), options.peers.len()), (2, 1));
        assert!(parse("--help").unwrap().is_none());
        for wrong in ["--only onway", "--peers-dir x", "--rounds many"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
