//! Python through `uv`: a node with a `build:` has an environment of its own, every other one is run by `uv run`.

use std::path::{Path, PathBuf};

use dora_descriptor::Node;

/// The Python environment of a node that installs into one, below the directory that everything of the node starts from.
pub(crate) fn environment(node: &Node, dir: &Path) -> Option<PathBuf> {
    node.standard()?.build.as_ref()?;
    Some(dir.join(".dora/python-envs").join(node.id.as_str()))
}

/// The words of a build line: what `pip` would do, `uv pip` does.
pub(crate) fn line(words: Vec<String>) -> Vec<String> {
    match words.first().map(String::as_str) {
        Some("pip" | "pip3") => ["uv", "pip"].map(str::to_owned).into_iter().chain(words.into_iter().skip(1)).collect(),
        _ => words,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pip_is_taken_over() {
        let words = |text: &str| line(text.split(' ').map(str::to_owned).collect()).join(" ");
        assert_eq!(words("pip install a"), "uv pip install a");
        assert_eq!(words("pip3 install pip"), "uv pip install pip");
        assert_eq!(words("cargo build"), "cargo build");
    }
}
