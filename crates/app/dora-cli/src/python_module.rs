//! Where the wheel of the Python module `dora` is that speaks to this version.
//!
//! The wheel of `dora-rs-cli` brings it along and installs it beside the program; in a clone of dora `cargo xtask wheel`
//! leaves it below `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dora_daemon::PythonModule;

/// Names a wheel that lies elsewhere.
const GIVEN: &str = "DORA_PYTHON_WHEEL";
/// From the directory of the program to what is installed beside it.
const BESIDE: &str = "../share/dora";
/// From this package to where a clone keeps it.
const IN_CLONE: &str = "../../../target/python/wheels";

/// The wheel that the user names; else that beside the program, else that of the clone that it was built from.
pub(crate) fn find() -> PythonModule {
    if let Some(wheel) = std::env::var_os(GIVEN).filter(|wheel| !wheel.is_empty()) {
        return given(PathBuf::from(wheel));
    }
    let program = std::env::current_exe().unwrap_or_default();
    let beside = program.parent().unwrap_or(Path::new("")).join(BESIDE);
    let places = [beside, Path::new(env!("CARGO_MANIFEST_DIR")).join(IN_CLONE)];
    in_places(&places.map(|place| plain(&place)))
}

fn given(wheel: PathBuf) -> PythonModule {
    let absolute = std::path::absolute(&wheel).unwrap_or(wheel);
    match absolute.is_file() {
        true => PythonModule::Wheel(absolute),
        false => PythonModule::Missing { looked: format!("at `{}`, which {GIVEN} names", absolute.display()) },
    }
}

fn in_places(places: &[PathBuf]) -> PythonModule {
    match places.iter().find_map(|place| in_directory(place)) {
        Some(wheel) => PythonModule::Wheel(wheel),
        None => {
            let places: Vec<_> = places.iter().map(|place| format!("in `{}`", place.display())).collect();
            PythonModule::Missing { looked: places.join(" and ") }
        }
    }
}

/// The wheel of this version in a directory.
fn in_directory(directory: &Path) -> Option<PathBuf> {
    let beginning = concat!("dora_rs-", env!("CARGO_PKG_VERSION"), "-");
    let is_ours = |name: &str| name.starts_with(beginning) && name.ends_with(".whl");
    let mut entries = fs::read_dir(directory).ok()?.flatten();
    let found = entries.find(|entry| entry.file_name().to_str().is_some_and(is_ours))?;
    Some(found.path())
}

/// The path without `..`, as far as its directories exist.
fn plain(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    match existing {
        Some((part, canonical)) => path.strip_prefix(part).map_or(canonical.clone(), |rest| canonical.join(rest)),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wheel_of_this_version_will_do() {
        let directory = tempfile::tempdir().expect("a directory");
        let places = [directory.path().join("none"), directory.path().to_owned()];
        for other in ["dora_rs-1.1.0-cp311-abi3-linux_x86_64.whl", "dora_rs_cli-1.2.0-py3-none-any.whl", "a.whl"] {
            fs::write(directory.path().join(other), "").expect("written");
        }
        let looked = |module: PythonModule| module.wheel().map(Path::to_owned).map_err(str::to_owned);
        assert!(looked(in_places(&places)).is_err_and(|looked| looked.contains("/none` and in `")));
        let ours = directory.path().join(format!("dora_rs-{}-cp311-abi3-linux_x86_64.whl", env!("CARGO_PKG_VERSION")));
        fs::write(&ours, "").expect("written");
        assert_eq!(looked(in_places(&places)), Ok(ours.clone()));
        assert_eq!(looked(given(ours.clone())), Ok(ours));
        assert!(looked(given("no-such.whl".into())).is_err_and(|looked| looked.contains(GIVEN)));
    }
}
