//! The tests of Python: of the module, and of the command as it is installed from its wheel.

use std::path::Path;

use crate::examples;
use crate::report::{Outcome, Trouble};
use crate::shell::{Shell, release_binary};
use crate::uv::Environment;
use crate::wheel::{self, Wheels};

const TESTS: &str = "apis/python/tests";

/// The oldest packages that the module may be installed with; relative to the root.
const OLDEST: &str = "apis/python/tests/oldest.txt";

/// Builds the wheels, installs them into environments of their own, and runs the tests of the module and its example.
pub fn test() -> Outcome {
    let environment = Environment::with("environment", wheel::TOOLS)?;
    let wheels = wheel::build(&environment)?;
    install(&environment, &wheels.module)?;
    run_tests(&environment, "test_*.py")?;
    examples::dora_run(&["examples/python-hello/dataflow.yml"], Some(&environment))?;
    let oldest = Environment::with("oldest", OLDEST)?;
    install(&oldest, &wheels.module)?;
    run_tests(&oldest, "test_*ing.py")?;
    command(&wheels)
}

/// The environment of the tests, with the module.
pub fn environment_with_module() -> Result<Environment, Trouble> {
    let environment = Environment::with("environment", wheel::TOOLS)?;
    install(&environment, &wheel::module(&environment)?)?;
    Ok(environment)
}

/// Installs our wheel, whatever was there.
pub fn install(environment: &Environment, module: &Path) -> Outcome {
    environment.install().args(["--no-deps", "--reinstall"]).arg(module).run()
}

fn run_tests(environment: &Environment, files: &str) -> Outcome {
    Shell::program(environment.python())
        .args(["-W", "error::ResourceWarning", "-m", "unittest", "discover", "--start-directory", TESTS])
        .args(["--pattern", files])
        .env("DORA_TEST_BINARY", &release_binary("dora").display().to_string())
        .run()
}

/// The command that its wheel installs runs, and brings the module along.
fn command(wheels: &Wheels) -> Outcome {
    let environment = Environment::empty("command")?;
    environment.install().arg(&wheels.command).run()?;
    let dora = environment.program("dora");
    let said = Shell::program(&dora).arg("doctor").output()?;
    let module = environment.program("../share/dora");
    if !said.contains("share/dora") {
        let module = module.display();
        return Err(Trouble::Failed(format!("{} does not find the module in {module}:\n{said}", dora.display())));
    }
    Ok(())
}
