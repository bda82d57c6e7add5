//! Processes whose directory was removed while they ran. No command reaches them any more, but the kernel knows which
//! files they hold: so they are still found, named, and ended.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::instance::{INSTANCE, Running};
use crate::processes::Process;

/// What the kernel appends to the path of a file that was removed.
const REMOVED: &str = " (deleted)";

/// Those whose `instance` file was in this directory, or below it, until it was removed.
pub(crate) fn below(directory: &Path) -> Vec<Running> {
    let directory = resolved(directory);
    let services = Process::all(Path::new("/proc")).filter(|process| process.is_dora(&["coordinator", "daemon"]));
    services
        .filter_map(|process| {
            let path = process.descriptors().find_map(|path| removed_instance(&path, &directory))?;
            let pid = Pid::from_raw(process.id.try_into().ok()?)?;
            Some(Running::new(pid, pidfd_open(pid, PidfdFlags::empty()).ok()?, path))
        })
        .collect()
}

/// The path that an open file had, if it is an `instance` file that was removed from below this directory.
fn removed_instance(link: &Path, directory: &Path) -> Option<PathBuf> {
    let path = Path::new(link.to_str()?.strip_suffix(REMOVED)?);
    (path.starts_with(directory) && path.file_name()? == INSTANCE).then(|| path.to_owned())
}

/// The path as the kernel writes it, although its end may be gone.
fn resolved(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let resolved = there.and_then(|(above, real)| Some(real.join(path.strip_prefix(above).ok()?)));
    resolved.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_instances_that_were_removed_from_there_count() {
        let of = |link: &str| removed_instance(Path::new(link), Path::new("/home/me/.dora"));
        assert_eq!(
            of("/home/me/.dora/daemons/6013/robot/instance (deleted)").as_deref(),
            Some(Path::new("/home/me/.dora/daemons/6013/robot/instance"))
        );
        for other in [
            "/home/me/.dora/daemons/6013/robot/instance",
            "/home/me/.dora/daemons/6013/robot/log (deleted)",
            "/home/me/.dora2/instance (deleted)",
            "socket:[7]",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn links_are_followed_as_far_as_there_is_something() {
        let place = tempfile::tempdir().expect("a directory");
        let (real, link) = (place.path().join("real"), place.path().join("link"));
        std::fs::create_dir(&real).expect("our own directory");
        std::os::unix::fs::symlink(&real, &link).expect("our own link");
        let expected = real.canonicalize().expect("it is there").join("gone/instance");
        assert_eq!(resolved(&link.join("gone/instance")), expected);
    }
}
