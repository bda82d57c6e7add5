//! `cargo xtask bench`: the figures of docs/performance.md.

use crate::python;
use crate::report::{Outcome, Trouble};
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
    let driver = Shell::program(release_binary("dora-bench")).args(&arguments.driver_arguments);
    if !arguments.want_python() {
        return driver.run();
    }
    match python::environment_with_module() {
        Ok(environment) => driver.arg("--python").arg(environment.python()).run(),
        Err(Trouble::NotPossible(why)) => {
            println!("Python is not measured: {why}");
            driver.run()
        }
        Err(trouble) => Err(trouble),
    }
}

impl Arguments {
    /// Whether figures of Python are among those that are asked for, and no interpreter was named.
    fn want_python(&self) -> bool {
        let has = |word: &str| self.driver_arguments.iter().any(|argument| argument.contains(word));
        !has("--table") && !has("--help") && !has("--python") && (has("python") || !has("--only"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_is_built_only_where_it_is_measured() {
        let want = |line: &str| {
            Arguments { driver_arguments: line.split_whitespace().map(str::to_owned).collect() }.want_python()
        };
        assert!(want("") && want("--quick") && want("--only copy,python"));
        assert!(!want("--only copy") && !want("--table raw.csv") && !want("--only python --python bin/python"));
    }
}
