//! `cargo xtask test`: every check and every test of the repository, one step after the other.

use crate::check_deps;
use crate::examples;
use crate::packages;
use crate::python;
use crate::report::{Outcome, Report, Trouble};
use crate::shell::{Shell, release_binary};
use crate::tidy;

/// The end-to-end tests: they start what a user starts, as release builds.
const END_TO_END: &str = "dora-tests";

/// The Python module: it is linked by the interpreter that loads it, and tested from there.
const PYTHON: &str = "dora-python";

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Use the counts that a release asks for; without it small ones, for minutes instead of hours.
    #[arg(long)]
    full: bool,
    /// Run only tests whose name contains this text, and none of the checks.
    filter: Option<String>,
}

/// Runs all steps, whatever fails on the way, and sums up.
pub fn run(arguments: &Arguments) -> Outcome {
    let tests = Tests { full: arguments.full, filter: arguments.filter.as_deref(), has_nextest: has_nextest() };
    println!("This takes up to 25 minutes on two cores the first time, a few minutes afterwards.");
    if !tests.has_nextest {
        println!("cargo-nextest is not installed: `cargo test` does the same with plainer output.");
    }
    let mut report = Report::default();
    if tests.filter.is_none() {
        checks(&mut report);
    }
    tests.run(&mut report)?;
    report.finish()
}

/// What is checked without running any of our programs.
fn checks(report: &mut Report) {
    report.step("formatting", || {
        needs("cargo fmt --version", "rustfmt: `rustup component add rustfmt`")?;
        Shell::new("cargo fmt --all --check").run()
    });
    report.step("dependency rules", || Ok(check_deps::run()?));
    report.step("tidiness", || Ok(tidy::run()?));
    report.step("clippy", || {
        needs("cargo clippy --version", "clippy: `rustup component add clippy`")?;
        Shell::new("cargo clippy --workspace --all-targets --features dora-tests/python --locked -- -D warnings").run()
    });
    report.step("documentation", || {
        let strict = "-D warnings -A rustdoc::private_intra_doc_links";
        Shell::new("cargo doc --workspace --lib --no-deps --locked --quiet").env("RUSTDOCFLAGS", strict).run()
    });
}

/// How tests are run this time.
struct Tests<'a> {
    full: bool,
    filter: Option<&'a str>,
    has_nextest: bool,
}

impl Tests<'_> {
    fn run(&self, report: &mut Report) -> Result<(), Trouble> {
        let examples = examples::packages()?;
        let excluded: Vec<String> = [END_TO_END.to_owned(), PYTHON.to_owned()]
            .into_iter()
            .chain(examples.iter().map(|package| package.name.clone()))
            .flat_map(|name| ["--exclude".to_owned(), name])
            .collect();
        report
            .step("tests of each crate", || self.runner("--workspace", false).args(&excluded).args(self.filter).run());
        if self.filter.is_none() {
            report.step("examples in the documentation (doc tests)", || {
                Shell::new("cargo test --workspace --doc --quiet --locked").args(&excluded).run()
            });
        }
        report.step("models of the channel's memory orderings (loom)", || self.loom());
        let binaries = "build of dora and the examples";
        let mut released = examples::selection()?;
        released.extend(["--package".to_owned(), END_TO_END.to_owned()]);
        report.step(binaries, || Shell::new("cargo build --release --locked --bins --tests").args(&released).run());
        if !report.succeeded(binaries) {
            return Ok(());
        }
        report.step("end-to-end tests, tests of the examples", || {
            let dora = release_binary("dora").display().to_string();
            self.runner("", true).args(&released).args(self.filter).env("DORA_TEST_BINARY", &dora).run()
        });
        if self.filter.is_none() {
            examples::run_all(report)?;
            let module = "the Python module and the command, installed from their wheels";
            report.step(module, python::test);
            if report.succeeded(module) {
                report.step("end-to-end tests with the module", || self.with_python(&released));
                report.step("node packages of the public index, with our module", packages::test);
            }
        }
        Ok(())
    }

    /// The end-to-end tests that need the module in the environment of [`python::test`].
    fn with_python(&self, released: &[String]) -> Outcome {
        let runner = if self.has_nextest { "cargo nextest run" } else { "cargo test" };
        let dora = release_binary("dora").display().to_string();
        Shell::new(runner)
            .args(["--release", "--locked", "--features", "dora-tests/python", "--test", "with_python"])
            .args(released)
            .env("DORA_TEST_BINARY", &dora)
            .run()
    }

    /// The start of a command line that runs tests: nextest where it is installed, else cargo's own runner.
    fn runner(&self, packages: &str, release: bool) -> Shell {
        let profile = if release { "--release" } else { "" };
        let line = if self.has_nextest {
            let counts = if self.full { "--profile full" } else { "" };
            format!("cargo nextest run --locked --no-tests pass {packages} {profile} {counts}")
        } else {
            format!("cargo test --locked --lib --bins --tests {packages} {profile}")
        };
        self.counted(Shell::new(&line))
    }

    /// loom replaces the atomics of the crate under test, so it has a build of its own.
    fn loom(&self) -> Outcome {
        let given = std::env::var("RUSTFLAGS").unwrap_or_default();
        let flags = format!("{given} --cfg loom");
        let line = "cargo test --locked --package dora-channel --release --test loom --target-dir target/loom";
        self.counted(Shell::new(line).args(self.filter)).env("RUSTFLAGS", flags.trim()).run()
    }

    fn counted(&self, shell: Shell) -> Shell {
        if self.full { shell.env("DORA_TEST_FULL", "1") } else { shell }
    }
}

fn has_nextest() -> bool {
    Shell::new("cargo nextest --version").succeeds()
}

fn needs(probe: &str, what: &str) -> Outcome {
    if Shell::new(probe).succeeds() { Ok(()) } else { Err(Trouble::NotPossible(format!("needs {what}"))) }
}
