//! `cargo xtask bench`: the figures of docs/performance.md.

use crate::report::Outcome;
use crate::shell::{Shell, release_binary};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// Go to the benchmark driver as they are; `--help` shows what it understands.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    driver_arguments: Vec<String>,
}

/// Builds `dora` and the benchmarks for release and runs their driver.
pub fn run(arguments: &Arguments) -> Outcome {
    Shell::new("cargo build --release --package dora-cli --package dora-benches").run()?;
    Shell::program(release_binary("dora-bench")).args(&arguments.driver_arguments).run()
}
