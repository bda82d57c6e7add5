//! What the vision example needs: an environment of Python with our module and scikit-image, and the photographs that
//! scikit-image brings along, under `target/demo/pictures`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::python;
use crate::report::{Outcome, Trouble};
use crate::shell::Shell;
use crate::uv::Environment;
use crate::wheel;
use crate::workspace;

/// What its Python nodes import.
const REQUIREMENTS: &str = "examples/vision/requirements.txt";

/// The photographs that we use; examples/vision/CREDITS.md tells who made them and why they are free.
const PICTURES: [&str; 6] =
    ["astronaut.png", "camera.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg"];

/// Prints where the photographs are.
const WHERE: &str = "import skimage; print(skimage.data_dir)";

/// Makes the environment and fetches the photographs. Needs the network only the first time.
pub fn prepare() -> Result<Environment, Trouble> {
    let environment = Environment::with("vision", REQUIREMENTS)?;
    copy_pictures(&environment)?;
    let module = wheel::module(&Environment::with("environment", wheel::TOOLS)?)?;
    python::install(&environment, &module)?;
    Ok(environment)
}

fn copy_pictures(environment: &Environment) -> Outcome {
    let pictures = cache().join("pictures");
    fs::create_dir_all(&pictures).map_err(|error| format!("cannot create {}: {error}", pictures.display()))?;
    let printed = Shell::program(environment.python()).args(["-c", WHERE]).output()?;
    for picture in PICTURES {
        fs::copy(Path::new(printed.trim()).join(picture), pictures.join(picture))
            .map_err(|error| format!("scikit-image brings no {picture}: {error}"))?;
    }
    Ok(())
}

/// Everything that the demo reads or writes.
fn cache() -> PathBuf {
    workspace::root().join("target").join("demo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_photograph_is_credited() {
        let credits = workspace::text(Path::new("examples/vision/CREDITS.md")).unwrap().unwrap();
        for picture in PICTURES {
            assert!(credits.contains(picture), "{picture} is not in CREDITS.md");
        }
    }

    #[test]
    fn every_package_is_pinned() {
        let requirements = workspace::text(Path::new(REQUIREMENTS)).unwrap().unwrap();
        let mut packages = requirements.lines().filter(|line| !line.starts_with('#'));
        assert!(packages.all(|line| line.contains("==")), "{requirements}");
    }
}
