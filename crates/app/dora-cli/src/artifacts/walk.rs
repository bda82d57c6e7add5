//! From names to files: what of that which nodes name is there, lies in the directory of the dataflow, and travels.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

use dora_descriptor::Dataflow;

use super::{ArtifactError, Found, LocalFile, MOST_BYTES, MOST_FILES, named};

/// A file with this name in it makes a directory a cache, which can be made again: cargo's `target` has one.
const CACHE_TAG: &str = "CACHEDIR.TAG";
/// Directories beside a dataflow file that dora itself makes.
const OWN: [&str; 3] = ["out", "git", "build"];

/// Finds what travels with a dataflow. `base` is the directory of its file.
pub(super) fn find(dataflow: &Dataflow, base: &Path) -> Result<Found, ArtifactError> {
    let root = base.canonicalize().map_err(|error| unreadable(base, error))?;
    let mut search = Search::new(&root);
    for named in named::by_nodes(dataflow) {
        let of = dataflow.deploy_of(named.node).and_then(|deploy| deploy.working_dir.as_deref()).unwrap_or("");
        search.node = named.node.id.to_string();
        search.named(&Path::new(of).join(&named.path), named.is_program)?;
    }
    Ok(search.finish())
}

/// One search.
struct Search<'a> {
    /// The directory of the dataflow file; no symbolic link is left in it.
    root: &'a Path,
    /// Whose names are looked at.
    node: String,
    files: BTreeMap<String, LocalFile>,
    bytes: u64,
    /// Directories that were walked through: a link may lead to one again, or around in a circle.
    walked: BTreeSet<PathBuf>,
    warnings: BTreeSet<String>,
}

impl<'a> Search<'a> {
    fn new(root: &'a Path) -> Self {
        let (files, walked, warnings) = Default::default();
        Self { root, node: String::new(), files, bytes: 0, walked, warnings }
    }

    fn finish(self) -> Found {
        Found { files: self.files.into_values().collect(), warnings: self.warnings.into_iter().collect() }
    }

    /// A name that may be a path: most words are none, and then nothing is done.
    fn named(&mut self, name: &Path, is_program: bool) -> Result<(), ArtifactError> {
        if name.is_absolute() || name.as_os_str().is_empty() {
            return Ok(());
        }
        let Some(relative) = plain(name) else {
            if self.root.join(name).exists() {
                self.leave_out(&name.display().to_string(), "lies outside of the directory of the dataflow file");
            }
            return Ok(());
        };
        let Some(path) = self.inside(&relative) else { return Ok(()) };
        if path.is_dir() {
            // A directory is no program; whoever runs the node tells so.
            return if is_program { Ok(()) } else { self.directory(&relative, &path) };
        }
        self.file(&relative, &path)?;
        if is_program && relative.extension().is_some_and(|extension| extension == "py") {
            self.modules_beside(&relative)?;
        }
        Ok(())
    }

    /// Python imports what lies beside a script.
    fn modules_beside(&mut self, script: &Path) -> Result<(), ArtifactError> {
        let directory = script.parent().unwrap_or(Path::new(""));
        for name in Self::entries(&self.root.join(directory))? {
            let relative = directory.join(&name);
            let is_module = relative.extension().is_some_and(|extension| extension == "py");
            if let Some(path) = is_module.then(|| self.inside(&relative)).flatten().filter(|path| path.is_file()) {
                self.file(&relative, &path)?;
            }
        }
        Ok(())
    }

    /// All files below a directory, but for what is hidden or can be made again.
    fn directory(&mut self, relative: &Path, path: &Path) -> Result<(), ArtifactError> {
        if !self.walked.insert(path.to_owned()) {
            return Ok(());
        }
        for name in Self::entries(path)? {
            let (relative, text) = (relative.join(&name), name.to_string_lossy());
            let own = path == self.root && OWN.contains(&&*text);
            if text.starts_with('.') || text == "__pycache__" || own {
                continue;
            }
            match self.inside(&relative) {
                Some(path) if path.is_dir() && path.join(CACHE_TAG).exists() => {}
                Some(path) if path.is_dir() => self.directory(&relative, &path)?,
                Some(path) => self.file(&relative, &path)?,
                None => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, relative: &Path, path: &Path) -> Result<(), ArtifactError> {
        let Some(name) = relative.to_str() else {
            self.leave_out(&relative.display().to_string(), "has a name that is not UTF-8");
            return Ok(());
        };
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, error))?;
        if !metadata.is_file() || self.files.contains_key(name) {
            return Ok(());
        }
        let (node, path_text, size) = (self.node.clone(), name.to_owned(), metadata.len());
        if size > MOST_BYTES {
            return Err(ArtifactError::TooLarge { node, path: path_text, size });
        }
        self.bytes += size;
        if self.bytes > MOST_BYTES || self.files.len() == MOST_FILES {
            return Err(ArtifactError::TooMany { node, path: path_text });
        }
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let file = LocalFile { relative: path_text, path: path.to_owned(), size, executable };
        self.files.insert(name.to_owned(), file);
        Ok(())
    }

    /// Where it really is, if that is in the directory of the dataflow; links are followed that stay in there.
    fn inside(&mut self, relative: &Path) -> Option<PathBuf> {
        let path = self.root.join(relative).canonicalize().ok()?;
        if path.starts_with(self.root) {
            return Some(path);
        }
        self.leave_out(
            &relative.display().to_string(),
            "is a symbolic link that leads out of the directory of the dataflow file",
        );
        None
    }

    fn leave_out(&mut self, path: &str, why: &str) {
        let node = &self.node;
        self.warnings.insert(format!("`{path}`, which node `{node}` names, {why}: it does not travel"));
    }

    /// The names in a directory, in their order, so that the same files give the same artifacts.
    fn entries(directory: &Path) -> Result<Vec<std::ffi::OsString>, ArtifactError> {
        let names = fs::read_dir(directory).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
        });
        let mut names = names.map_err(|error| unreadable(directory, error))?;
        names.sort();
        Ok(names)
    }
}

fn unreadable(path: &Path, error: io::Error) -> ArtifactError {
    ArtifactError::Unreadable { path: path.to_owned(), error }
}

/// The path without `.` and `..`; `None` if it leads out of where it starts.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir if plain.pop() => {}
            _ => return None,
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use dora_descriptor::Options;
    use tempfile::TempDir;

    use super::*;

    /// A directory with these files; those that end in `!` are executable.
    fn place(files: &[&str]) -> TempDir {
        let place = tempfile::tempdir().expect("a directory");
        for name in files {
            let path = place.path().join(name.trim_end_matches('!'));
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(&path, name).expect("written");
            let mode = if name.ends_with('!') { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        }
        place
    }

    fn found(place: &TempDir, nodes: &str) -> Result<Found, ArtifactError> {
        let text = format!("nodes:\n{nodes}");
        let loaded = dora_descriptor::parse("dataflow.yml", &text, &Options::default()).expect("a dataflow");
        find(&loaded.dataflow, place.path())
    }

    fn names(found: &Found) -> Vec<&str> {
        found.files.iter().map(|file| file.relative.as_str()).collect()
    }

    #[test]
    fn scripts_travel_with_what_lies_beside_them_and_what_they_are_given() {
        let place = place(&[
            "nodes/camera.py",
            "nodes/lens.py",
            "nodes/notes.txt",
            "nodes/deep/x.py",
            "tool!",
            "other.py",
            "data/a.bin",
            "data/deep/b.bin",
            "data/.hidden",
            "data/__pycache__/c",
            "data/target/CACHEDIR.TAG",
            "data/target/huge",
            "out/log",
            "set.txt",
        ]);
        let nodes = "
  - { id: camera, path: nodes/camera.py, args: \"--data=data --n 3\" }
  - { id: tool, path: ./tool, env: { SET: set.txt, NONE: none.txt, DEV: /dev/null } }
  - { id: echo, path: echo }";
        let all = found(&place, nodes).expect("found");
        let expected = ["data/a.bin", "data/deep/b.bin", "nodes/camera.py", "nodes/lens.py", "set.txt", "tool"];
        assert_eq!((names(&all), all.warnings.len()), (expected.to_vec(), 0));
        let executable: Vec<_> = all.files.iter().filter(|file| file.executable).map(|file| &*file.relative).collect();
        assert_eq!(executable, ["tool"]);
    }

    #[test]
    fn a_whole_directory_leaves_out_what_dora_made_there() {
        let place = place(&["a.py", "out/x", "git/y", "build/z", ".git/config", "sub/out/kept"]);
        let all = found(&place, "  - { id: a, path: a.py, build: pip install -e . }").expect("found");
        assert_eq!(names(&all), ["a.py", "sub/out/kept"]);
    }

    #[test]
    fn nothing_outside_of_the_directory_travels() {
        let outer = place(&["secret.txt", "flow/a.py", "flow/data/b.txt", "flow/data/c.txt"]);
        let flow = outer.path().join("flow");
        symlink("../secret.txt", flow.join("leak.txt")).expect("linked");
        symlink("/etc", flow.join("data/etc")).expect("linked");
        symlink("..", flow.join("data/circle")).expect("linked");
        symlink("b.txt", flow.join("data/same.txt")).expect("linked");
        let text =
            "nodes: [{ id: a, path: a.py, args: ../secret.txt leak.txt data data/../../secret.txt /etc/passwd }]";
        let loaded = dora_descriptor::parse("dataflow.yml", text, &Options::default()).expect("a dataflow");
        let all = find(&loaded.dataflow, &flow).expect("found");
        let files = ["a.py", "data/b.txt", "data/c.txt", "data/circle/a.py", "data/same.txt"];
        assert_eq!(names(&all), files);
        let left_out = |path: &str| all.warnings.iter().any(|line| line.starts_with(&format!("`{path}`")));
        for path in ["../secret.txt", "leak.txt", "data/etc", "data/../../secret.txt", "data/circle/leak.txt"] {
            assert!(left_out(path), "{path}: {:?}", all.warnings);
        }
        assert_eq!(all.warnings.len(), 5);
    }

    #[test]
    fn what_is_too_large_is_refused_with_its_name() {
        let place = place(&["a.py"]);
        fs::File::create(place.path().join("huge.bin")).and_then(|file| file.set_len(MOST_BYTES + 1)).expect("sparse");
        let error = found(&place, "  - { id: a, path: a.py, args: huge.bin }").expect_err("too large");
        assert!(error.to_string().starts_with("`huge.bin`, which node `a` names, has 1073741825 bytes"), "{error}");
        fs::File::create(place.path().join("huge.bin")).and_then(|file| file.set_len(MOST_BYTES)).expect("sparse");
        let error = found(&place, "  - { id: a, path: a.py, args: huge.bin }").expect_err("too much with a.py");
        assert!(matches!(error, ArtifactError::TooMany { .. }), "{error}");
    }

    #[test]
    fn working_directories_count() {
        let place = place(&["sub/a.py", "sub/x.txt", "x.txt"]);
        let nodes = "  - { id: a, path: a.py, args: x.txt, deploy: { working_dir: sub } }";
        assert_eq!(names(&found(&place, nodes).expect("found")), ["sub/a.py", "sub/x.txt"]);
    }
}
