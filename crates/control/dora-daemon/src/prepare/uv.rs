//! Python through `uv`: a node with a `build:` has an environment of its own, every other one is run by `uv run`.
//!
//! What `uv` would take for the module `dora` from the public index cannot speak to us, so it is overridden.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use dora_descriptor::{Node, model::PathKind};

/// What an environment begins with. Later versions import only beside numpy 2 and do not say so, and many packages want an
/// older numpy: installed first, this one stays unless a package asks for another.
pub(super) const ANY_NUMPY: &str = "pyarrow<26";

/// The variable that names lists of overrides.
const VARIABLE: &str = "UV_OVERRIDE";

/// The Python environment of a node that installs into one, below the directory that everything of the node starts from.
pub(crate) fn environment(node: &Node, dir: &Path) -> Option<PathBuf> {
    node.standard()?.build.as_ref()?;
    Some(dir.join(".dora/python-envs").join(node.id.as_str()))
}

/// The words of a build line: what `pip` would do, `uv pip` does.
pub(crate) fn line(words: Vec<String>) -> Vec<String> {
    let taken_over = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pip" | "pip3", ..] => 1,
        ["python" | "python3", "-m", "pip", ..] => 3,
        _ => return words,
    };
    ["uv", "pip"].map(str::to_owned).into_iter().chain(words.into_iter().skip(taken_over)).collect()
}

/// The words of the line that makes an environment; none if it is there.
pub(crate) fn make(environment: &Path) -> Option<Vec<String>> {
    if environment.join("bin/python").exists() {
        return None;
    }
    // What was interrupted is completed.
    let words = ["uv", "venv", "--allow-existing"].map(str::to_owned);
    Some(words.into_iter().chain([environment.to_string_lossy().into_owned()]).collect())
}

/// Whether a node with these build lines is one in Python.
pub(crate) fn is_python<'a>(node: &Node, mut lines: impl Iterator<Item = &'a [String]>) -> bool {
    let is_file = node.standard().is_some_and(|standard| standard.path_kind() == PathKind::Python);
    is_file || lines.any(|words| line(words.to_vec()).first().is_some_and(|word| word == "uv"))
}

/// What an environment has as module `dora`: our wheel, whoever asks for the distribution `dora-rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    environment: PathBuf,
    wheel: PathBuf,
}

impl Module {
    pub(crate) fn new(environment: &Path, wheel: &Path) -> Self {
        Module { environment: environment.to_owned(), wheel: wheel.to_owned() }
    }

    /// The list of overrides, beside the environment.
    fn file(&self) -> PathBuf {
        let mut file = self.environment.as_os_str().to_owned();
        file.push(".overrides.txt");
        file.into()
    }

    /// Tells `uv` of it by a variable, besides what it is told of already.
    pub(crate) fn announce(&self, env: &mut Vec<(String, String)>) {
        // It is split at blanks.
        let ours = url(&self.file());
        match env.iter_mut().find(|(name, _)| name == VARIABLE) {
            Some((_, files)) => *files = format!("{files} {ours}"),
            None => env.push((VARIABLE.to_owned(), ours)),
        }
    }

    /// The words of the line that installs it also where nothing asks for it. Nothing happens where it is there already.
    pub(crate) fn install(&self) -> Vec<String> {
        let words = ["uv", "pip", "install"].map(str::to_owned);
        let first = (!self.has_arrow()).then(|| ANY_NUMPY.to_owned());
        words.into_iter().chain([self.wheel.to_string_lossy().into_owned()]).chain(first).collect()
    }

    fn has_arrow(&self) -> bool {
        let versions = fs::read_dir(self.environment.join("lib")).into_iter().flatten().flatten();
        versions.map(|version| version.path().join("site-packages/pyarrow")).any(|package| package.is_dir())
    }

    pub(crate) fn write(&self) -> io::Result<()> {
        let file = self.file();
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&file, format!("dora-rs @ {}\n", url(&self.wheel)))
    }
}

/// The URL of a file; in a list of requirements a blank would end it.
fn url(file: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let encoded = |byte: &u8| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    format!("file://{}", file.as_os_str().as_bytes().iter().map(encoded).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pip_is_taken_over() {
        let words = |text: &str| line(text.split(' ').map(str::to_owned).collect()).join(" ");
        assert_eq!(words("pip install a"), "uv pip install a");
        assert_eq!(words("pip3 install pip"), "uv pip install pip");
        assert_eq!(words("python3 -m pip install a"), "uv pip install a");
        assert_eq!(words("python3 -m build"), "python3 -m build");
        assert_eq!(words("cargo build"), "cargo build");
    }

    #[test]
    fn the_module_is_overridden_wherever_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let module = Module::new(&dir.path().join("all envs/a.b"), Path::new("/a b/dora_rs-1.2.0-cp311.whl"));
        module.write().unwrap();
        assert_eq!(module.file(), dir.path().join("all envs/a.b.overrides.txt"));
        let mut env = vec![("UV_OVERRIDE".to_owned(), "mine.txt".to_owned())];
        module.announce(&mut env);
        assert!(env[0].1.starts_with("mine.txt file:///") && env[0].1.ends_with("/all%20envs/a.b.overrides.txt"));
        let text = fs::read_to_string(module.file()).unwrap();
        assert_eq!(text, "dora-rs @ file:///a%20b/dora_rs-1.2.0-cp311.whl\n");
        assert_eq!(module.install()[3..], ["/a b/dora_rs-1.2.0-cp311.whl", "pyarrow<26"]);
        fs::create_dir_all(module.environment.join("lib/python3.13/site-packages/pyarrow")).unwrap();
        assert_eq!(module.install()[3..], ["/a b/dora_rs-1.2.0-cp311.whl"]);
    }
}
