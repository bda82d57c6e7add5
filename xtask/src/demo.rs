//! `cargo xtask demo`: photographs go through three nodes; an annotated picture and a summary come out.

use crate::examples;
use crate::pictures;
use crate::report::{Outcome, Trouble};
use crate::shell::{Shell, release_binary};

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only fetch and build, so that the demo runs without a network later.
    #[arg(long)]
    prepare: bool,
}

/// Fetches the photographs, builds `dora` and the nodes, runs the dataflow, shows its summary.
pub fn run(arguments: &Arguments) -> Outcome {
    pictures::fetch()?;
    Shell::new("cargo build --release --bins").args(examples::selection()?).run()?;
    if arguments.prepare {
        return Ok(());
    }
    let results = pictures::cache().join("results");
    println!();
    Shell::program(release_binary("dora")).args(["run", examples::VISION_DATAFLOW]).run()?;
    let summary = results.join("summary.txt");
    let text = std::fs::read_to_string(&summary)
        .map_err(|error| Trouble::Failed(format!("the dataflow wrote no {}: {error}", summary.display())))?;
    println!("\n{text}");
    for (what, name) in [("picture", "annotated.png"), ("summary", "summary.json"), ("as text", "summary.txt")] {
        println!("{what}:  target/demo/results/{name}");
    }
    println!("dataflow: {}", examples::VISION_DATAFLOW);
    Ok(())
}
