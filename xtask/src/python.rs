//! The tests of Python: of the module, and of the command as it is installed from its wheel.

use crate::examples;
use crate::report::{Outcome, Trouble};
use crate::shell::{Shell, release_binary};
use crate::uv::Environment;
use crate::wheel::{self, Wheels};

const TESTS: &str = "apis/python/tests";

/// Builds the wheels, installs them into environments of their own, and runs the tests of the module and its example.
pub fn test() -> Outcome {
    let environment = Environment::with("environment", wheel::TOOLS)?;
    let wheels = wheel::build(&environment)?;
    environment.install().args(["--no-deps", "--reinstall"]).arg(&wheels.module).run()?;
    let dora = release_binary("dora");
    Shell::program(environment.python())
        .args(["-W", "error::ResourceWarning", "-m", "unittest", "discover", "--start-directory", TESTS])
        .env("DORA_TEST_BINARY", &dora.display().to_string())
        .run()?;
    examples::dora_run(&["examples/python-hello/dataflow.yml"], Some(&environment))?;
    command(&wheels)
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
