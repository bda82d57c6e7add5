//! What the repository consists of: its root, its files, its packages.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::shell::Shell;

/// The repository root.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Every file that git knows or would add, relative to the root, in order.
pub fn files() -> Result<Vec<PathBuf>, String> {
    let listing = Shell::new("git ls-files --cached --others --exclude-standard -z").output()?;
    let mut files: Vec<PathBuf> = listing.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    files.retain(|path| root().join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// The text of a file given relative to the root; `None` if it is not UTF-8 text.
pub fn text(file: &Path) -> Result<Option<String>, String> {
    let bytes = std::fs::read(root().join(file)).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(String::from_utf8(bytes).ok())
}

/// Removes a directory below the root with all that it holds, if it is there.
pub fn remove(directory: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// Makes a directory, without what it held before.
pub fn start_afresh(directory: &Path) -> Result<(), String> {
    remove(directory)?;
    std::fs::create_dir_all(directory).map_err(|error| format!("cannot create {}: {error}", directory.display()))
}

/// A member of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// One line about it.
    pub description: Option<String>,
    /// Its Cargo.toml, absolute.
    pub manifest_path: PathBuf,
    /// What it asks for.
    pub dependencies: Vec<Dependency>,
}

impl Package {
    /// The directory of the package, relative to the root.
    pub fn directory(&self) -> &Path {
        let directory = self.manifest_path.parent().unwrap_or(&self.manifest_path);
        directory.strip_prefix(root()).unwrap_or(directory)
    }
}

/// One dependency as written in a manifest.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    /// The name of the package, not what it is renamed to.
    pub name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub kind: Option<String>,
}

impl Dependency {
    /// Whether it is there only for tests.
    pub fn is_for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// All members of the workspace.
pub fn packages() -> Result<Vec<Package>, String> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let json = Shell::new("cargo metadata --format-version 1 --no-deps").output()?;
    let metadata: Metadata =
        serde_json::from_str(&json).map_err(|error| format!("output of cargo metadata: {error}"))?;
    Ok(metadata.packages)
}
