//! `cargo xtask demo`: photographs go through four nodes in Rust and Python; a picture and an animation come out.

use crate::examples;
use crate::report::Outcome;
use crate::shell::Shell;
use crate::vision;

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only fetch and build, so that the demo runs without a network later.
    #[arg(long)]
    prepare: bool,
}

/// Fetches what is needed, builds `dora` and the nodes, runs the dataflow, which sums up each of its edges.
pub fn run(arguments: &Arguments) -> Outcome {
    let environment = vision::prepare()?;
    Shell::new("cargo build --release --bins").args(examples::selection()?).run()?;
    if arguments.prepare {
        return Ok(());
    }
    println!();
    examples::dora_run(&["-v", examples::VISION_DATAFLOW], Some(&environment))?;
    println!();
    println!("picture:   target/demo/results/faces.png");
    println!("animation: target/demo/results/faces.gif");
    println!("dataflow:  {}", examples::VISION_DATAFLOW);
    Ok(())
}
