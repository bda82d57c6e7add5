//! Where a new project finds `dora-node-api`. It is in no registry: it is used from a clone of dora's repository.

use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// Where the API lies in the repository.
const IN_REPOSITORY: &str = "apis/rust/dora-node-api";

/// From this package to the root of the repository.
const TO_ROOT: &str = "../../..";

/// The directory of the package, absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Api(String);

impl Api {
    /// The API in a directory: that of the package, or a clone of the repository.
    pub(crate) fn in_directory(directory: &Path) -> Result<Self, CommandError> {
        [directory.join(IN_REPOSITORY), directory.to_owned()]
            .iter()
            .find_map(|candidate| package(candidate))
            .ok_or_else(|| {
                CommandError::usage(
                    format!("`{}` holds no `dora-node-api`", directory.display()),
                    format!("name a clone of dora's repository, or its directory `{IN_REPOSITORY}`"),
                )
            })
    }

    /// The API in the sources that this program was built from, if they are still where they were.
    pub(crate) fn of_this_build() -> Option<Self> {
        package(&Path::new(env!("CARGO_MANIFEST_DIR")).join(TO_ROOT).join(IN_REPOSITORY))
    }

    /// The directory.
    pub(crate) fn path(&self) -> &str {
        &self.0
    }

    /// The directory as a string of TOML. JSON's escapes are among those of TOML.
    pub(super) fn as_toml(&self) -> String {
        serde_json::Value::from(self.0.as_str()).to_string()
    }
}

/// The package in this directory, if it is one.
fn package(directory: &Path) -> Option<Api> {
    let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).ok()?;
    let is_api = manifest.lines().any(|line| line.trim() == "name = \"dora-node-api\"");
    let absolute: PathBuf = directory.canonicalize().ok()?;
    is_api.then(|| absolute.to_str().map(|path| Api(path.to_owned()))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_and_the_package_itself_are_both_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(TO_ROOT);
        let expected = Api::of_this_build();
        assert!(expected.is_some());
        assert_eq!(Api::in_directory(&root).ok(), expected);
        assert_eq!(Api::in_directory(&root.join(IN_REPOSITORY)).ok(), expected);
        assert!(Api::in_directory(&root.join("apis")).is_err());
    }

    #[test]
    fn odd_directories_stay_one_string() {
        assert_eq!(Api("/a \"b\"\\c".to_owned()).as_toml(), r#""/a \"b\"\\c""#);
    }
}
