//! dora itself: which one this is, whether it is the one that is found, whether `dora new` has what it needs.

use std::path::{Path, PathBuf};

use dora_daemon::PythonModule;

use super::finding::Finding;
use crate::{command::new::api::Api, python_module};

pub(super) fn probe() -> Vec<Finding> {
    let own = std::env::current_exe().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("dora")).find(|file| file.is_file());
    vec![
        Finding::ok("version", format!("dora {}", env!("CARGO_PKG_VERSION"))),
        program(&own, found),
        api(Api::of_this_build()),
        module(&python_module::find()),
    ]
}

fn program(own: &Path, found: Option<PathBuf>) -> Finding {
    const WHAT: &str = "program";
    let same = |found: &Path| found.canonicalize().is_ok_and(|found| own.canonicalize().is_ok_and(|own| own == found));
    match found {
        Some(found) if same(&found) => Finding::ok(WHAT, own.display().to_string()),
        Some(found) => Finding::warning(
            WHAT,
            format!("this is {}, but `dora` alone means {}", own.display(), found.display()),
            "remove one of them, or change the order of the directories in PATH",
        ),
        None => Finding::warning(
            WHAT,
            format!("{} is not on the PATH", own.display()),
            "add its directory to PATH: programs that run dataflows themselves look for `dora` there",
        ),
    }
}

fn api(api: Option<Api>) -> Finding {
    const WHAT: &str = "node API for Rust";
    match api {
        Some(api) => Finding::ok(WHAT, api.path()),
        None => Finding::warning(
            WHAT,
            "the sources that this program was built from are not there any more",
            "clone dora's repository and name the clone: `dora new NAME --api-path <the clone>`",
        ),
    }
}

fn module(module: &PythonModule) -> Finding {
    const WHAT: &str = "module for Python";
    match module.wheel() {
        Ok(wheel) => Finding::ok(WHAT, wheel.display().to_string()),
        Err(looked) => Finding::warning(
            WHAT,
            format!("there is no wheel of it (looked {looked})"),
            "`--uv` needs it: `cargo xtask wheel` in a clone of dora makes it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Status, *};

    #[test]
    fn another_dora_on_the_path_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let [own, other] = ["dora", "other"].map(|name| directory.path().join(name));
        std::fs::write(&own, "").expect("written");
        std::fs::write(&other, "").expect("written");
        assert_eq!(program(&own, Some(own.clone())).status, Status::Ok);
        assert_eq!(program(&own, Some(other)).status, Status::Warning);
        assert_eq!((program(&own, None).status, api(None).status), (Status::Warning, Status::Warning));
        assert_eq!(module(&PythonModule::Wheel(own)).status, Status::Ok);
        assert_eq!(module(&PythonModule::default()).status, Status::Warning);
    }
}
