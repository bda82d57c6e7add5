//! Runs the examples: each has a dataflow whose nodes exit with an error if a result is not what it should be.

use std::time::{Duration, Instant};

use crate::report::{Outcome, Report, Trouble};
use crate::shell::{Shell, release_binary};
use crate::uv::Environment;
use crate::vision;
use crate::workspace::{self, Package};

/// The dataflow of the demo, which needs photographs and Python.
pub const VISION_DATAFLOW: &str = "examples/vision/dataflow.yml";

/// An example that has not ended by itself by then is stopped, and counts as failed.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// All packages below examples/, by directory.
pub fn packages() -> Result<Vec<Package>, String> {
    let mut packages = workspace::packages()?;
    packages.retain(|package| package.directory().starts_with("examples"));
    packages.sort_by(|a, b| a.manifest_path.cmp(&b.manifest_path));
    Ok(packages)
}

/// Names `dora` and all examples for cargo.
///
/// Whoever builds for release starts from this selection: another one would enable other features of shared dependencies,
/// and build Arrow once more.
pub fn selection() -> Result<Vec<String>, String> {
    let examples = packages()?.into_iter().map(|package| package.name);
    Ok(["dora-cli".to_owned()].into_iter().chain(examples).flat_map(|name| ["--package".to_owned(), name]).collect())
}

/// Runs each example as a step of its own. The binaries are built already.
pub fn run_all(report: &mut Report) -> Result<(), Trouble> {
    for package in packages()? {
        let directory = package.directory().display().to_string();
        let dataflow = format!("{directory}/dataflow.yml");
        report.step(&format!("example {directory}"), || run(&dataflow));
    }
    Ok(())
}

fn run(dataflow: &str) -> Outcome {
    let environment = (dataflow == VISION_DATAFLOW).then(vision::prepare).transpose()?;
    let start = Instant::now();
    let limit = format!("{}s", TIME_LIMIT.as_secs());
    dora_run(&[dataflow, "--stop-after", &limit], environment.as_ref())?;
    if start.elapsed() >= TIME_LIMIT {
        return Err(Trouble::Failed(format!("{dataflow} did not end by itself within {limit}")));
    }
    Ok(())
}

/// `dora run`, with the Python of this environment.
pub fn dora_run(arguments: &[&str], environment: Option<&Environment>) -> Outcome {
    let run = Shell::program(release_binary("dora")).arg("run").args(arguments);
    match environment {
        Some(environment) => run.env("PATH", &environment.search_path()).run(),
        None => run.run(),
    }
}
