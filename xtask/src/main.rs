//! Tests, demo, benchmarks and checks of this repository: `cargo xtask help`.
//!
//! One file per command. This file knows their names and nothing of what they do.

mod bench;
mod check_deps;
mod demo;
mod examples;
mod markdown;
mod packages;
mod python;
mod report;
mod shell;
mod test;
mod tidy;
mod translation;
mod uv;
mod vision;
mod wall_clock;
mod wheel;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tests, demo, benchmarks and checks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the system at work: faces are found in photographs by nodes in Rust and Python; a picture, an animation and the
    /// figures of each edge come out.
    Demo(demo::Arguments),
    /// Run every check and every test, with small counts (`--full`: with the counts that a release asks for).
    Test(test::Arguments),
    /// Build the benchmarks for release and run them; every further argument goes to their driver.
    Bench(bench::Arguments),
    /// Build the wheel of the Python module and that of the `dora` command, and tell their sizes.
    Wheel,
    /// Run node packages of the public index with our Python module, and write what happened into docs/compat.md.
    Packages,
    /// Check which crate depends on which, against the rules of ARCHITECTURE.md.
    CheckDeps,
    /// Check file sizes, words that do not belong into sources, descriptions of crates, links between documents, translations.
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Wheel => wheel::run(),
        Command::Packages => packages::run(),
        Command::CheckDeps => check_deps::run().map_err(report::Trouble::from),
        Command::Tidy => tidy::run().map_err(report::Trouble::from),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("error: {trouble}");
            ExitCode::FAILURE
        }
    }
}
