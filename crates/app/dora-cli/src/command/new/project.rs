//! The files of a new project, and how they come to the disk: all of them or none.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Kind, api::Api, name::ProjectName};
use crate::{
    error::{self, CommandError},
    fill::fill,
};

/// A file of a template: where it goes, its text, and what it is for if that is worth a line.
struct Template(&'static str, &'static str, Option<&'static str>);

const SHARED: &[Template] = &[
    Template("Cargo.toml", include_str!("rust/Cargo.toml.in"), None),
    Template(".gitignore", include_str!("rust/gitignore.in"), None),
];

const DATAFLOW: &[Template] = &[
    Template(
        "dataflow.yml",
        include_str!("rust/dataflow/dataflow.yml.in"),
        Some("which nodes there are, and who listens to whom"),
    ),
    Template(
        "src/bin/talker.rs",
        include_str!("rust/dataflow/talker.rs"),
        Some("a node with a timer: sends a greeting at each tick"),
    ),
    Template(
        "src/bin/listener.rs",
        include_str!("rust/dataflow/listener.rs"),
        Some("a node that prints what it receives"),
    ),
];

const NODE: &[Template] = &[
    Template("src/main.rs", include_str!("rust/node/main.rs"), Some("the node")),
    Template("dataflow.yml", include_str!("rust/node/dataflow.yml.in"), Some("a dataflow to try the node alone")),
];

/// A project that is to be made.
pub(super) struct Project<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a ProjectName,
    pub(super) api: &'a Api,
    pub(super) directory: &'a Path,
}

impl Project<'_> {
    /// Its files: path below the directory, and content.
    fn files(&self) -> impl Iterator<Item = (&'static str, String)> {
        let api = self.api.as_toml();
        let values = move |text| fill(text, &[("name", self.name.as_str()), ("api", &api)]);
        SHARED.iter().chain(templates(self.kind)).map(move |Template(path, text, _)| (*path, values(text)))
    }

    /// The files that its user will change, each with what it is for.
    pub(super) fn places(&self) -> Vec<(PathBuf, &'static str)> {
        let place = |template: &Template| Some((self.directory.join(template.0), template.2?));
        templates(self.kind).iter().filter_map(place).collect()
    }

    /// Writes it into a directory that is new or empty.
    pub(super) fn write(&self) -> Result<(), CommandError> {
        let is_new = claim(self.directory)?;
        let written = self.files().try_for_each(|(path, text)| {
            let path = self.directory.join(path);
            create(&path, &text).map_err(|error| error::file_error("write", &path, &error))
        });
        if written.is_err() {
            self.withdraw(is_new);
        }
        written
    }

    /// Removes what was written. What the directory held before, if anything, was not ours.
    fn withdraw(&self, is_new: bool) {
        if is_new {
            let _ = fs::remove_dir_all(self.directory);
            return;
        }
        for (path, _) in self.files() {
            let _ = fs::remove_file(self.directory.join(path));
        }
        let _ = fs::remove_dir_all(self.directory.join("src"));
    }
}

fn templates(kind: Kind) -> &'static [Template] {
    match kind {
        Kind::Dataflow => DATAFLOW,
        Kind::Node => NODE,
    }
}

/// Makes the directory ours: whether it is new. One that holds something is refused.
fn claim(directory: &Path) -> Result<bool, CommandError> {
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent).map_err(|error| error::file_error("make", parent, &error))?;
    }
    match fs::create_dir(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error::file_error("make", directory, &error)),
        Err(_) if fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none()) => Ok(false),
        Err(_) => Err(CommandError::failed(format!("`{}` exists already; nothing was written", directory.display()))
            .with_hint("choose another name, or name another directory after it: `dora new NAME DIRECTORY`")),
    }
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    io::Write::write_all(&mut fs::File::create_new(path)?, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn written(kind: Kind, directory: &Path) -> Result<(), CommandError> {
        let name = ProjectName::from_str("robot").expect("a name");
        let api = Api::of_this_build().expect("the sources");
        Project { kind, name: &name, api: &api, directory }.write()
    }

    #[test]
    fn every_place_is_filled() {
        for kind in [Kind::Dataflow, Kind::Node] {
            let directory = tempfile::tempdir().expect("a directory");
            // It is empty, so it may be used.
            written(kind, directory.path()).expect("written");
            let manifest = fs::read_to_string(directory.path().join("Cargo.toml")).expect("a manifest");
            assert!(manifest.contains("name = \"robot\"") && !manifest.contains("{{"), "{manifest}");
            let dataflow = fs::read_to_string(directory.path().join("dataflow.yml")).expect("a dataflow");
            assert!(!dataflow.contains("{{"), "{dataflow}");
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("dataflow.yml"), "mine").expect("written");
        assert!(written(Kind::Dataflow, directory.path()).is_err());
        assert_eq!(fs::read_to_string(directory.path().join("dataflow.yml")).expect("still there"), "mine");
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn half_a_project_is_withdrawn() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(written(Kind::Node, &file.join("below")).is_err());
        let fresh = directory.path().join("fresh");
        written(Kind::Node, &fresh).expect("written");
        let name = ProjectName::from_str("robot").expect("a name");
        let api = Api::of_this_build().expect("the sources");
        Project { kind: Kind::Node, name: &name, api: &api, directory: &fresh }.withdraw(false);
        assert_eq!(fs::read_dir(&fresh).expect("the directory was not ours").count(), 0);
    }
}
