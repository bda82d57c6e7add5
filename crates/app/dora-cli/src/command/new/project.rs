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

const THE_DATAFLOW: Option<&str> = Some("which nodes there are, and who listens to whom");
const THE_TALKER: Option<&str> = Some("a node with a timer: sends a greeting at each tick");
const THE_LISTENER: Option<&str> = Some("a node that prints what it receives");
const THE_NODE: Option<&str> = Some("the node");
const ALONE: Option<&str> = Some("a dataflow to try the node alone");

const RUST: &[Template] = &[
    Template("Cargo.toml", include_str!("rust/Cargo.toml.in"), None),
    Template(".gitignore", include_str!("rust/gitignore.in"), None),
];
const RUST_DATAFLOW: &[Template] = &[
    Template("dataflow.yml", include_str!("rust/dataflow/dataflow.yml.in"), THE_DATAFLOW),
    Template("src/bin/talker.rs", include_str!("rust/dataflow/talker.rs"), THE_TALKER),
    Template("src/bin/listener.rs", include_str!("rust/dataflow/listener.rs"), THE_LISTENER),
];
const RUST_NODE: &[Template] = &[
    Template("src/main.rs", include_str!("rust/node/main.rs"), THE_NODE),
    Template("dataflow.yml", include_str!("rust/node/dataflow.yml.in"), ALONE),
];

const PYTHON: &[Template] = &[Template(".gitignore", include_str!("python/gitignore.in"), None)];
const PYTHON_DATAFLOW: &[Template] = &[
    Template("dataflow.yml", include_str!("python/dataflow/dataflow.yml.in"), THE_DATAFLOW),
    Template("talker.py", include_str!("python/dataflow/talker.py"), THE_TALKER),
    Template("listener.py", include_str!("python/dataflow/listener.py"), THE_LISTENER),
];
const PYTHON_NODE: &[Template] = &[
    Template("main.py", include_str!("python/node/main.py"), THE_NODE),
    Template("dataflow.yml", include_str!("python/node/dataflow.yml.in"), ALONE),
];

/// The language of a project, with what its nodes are built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProjectLanguage {
    /// Rust, with the API in this directory.
    Rust(Api),
    /// Python; the module is installed or brought by uv.
    Python,
}

impl ProjectLanguage {
    /// For people.
    pub(super) fn name(&self) -> &'static str {
        match self {
            ProjectLanguage::Rust(_) => "Rust",
            ProjectLanguage::Python => "Python",
        }
    }

    fn api(&self) -> Option<&Api> {
        match self {
            ProjectLanguage::Rust(api) => Some(api),
            ProjectLanguage::Python => None,
        }
    }
}

/// A project that is to be made.
pub(super) struct Project<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a ProjectName,
    pub(super) language: &'a ProjectLanguage,
    pub(super) directory: &'a Path,
}

impl Project<'_> {
    /// Its files: path below the directory, and content.
    fn files(&self) -> impl Iterator<Item = (&'static str, String)> {
        let api = self.language.api().map(Api::as_toml).unwrap_or_default();
        let values = move |text| fill(text, &[("name", self.name.as_str()), ("api", &api)]);
        let (shared, own) = self.templates();
        shared.iter().chain(own).map(move |Template(path, text, _)| (*path, values(text)))
    }

    /// The files that its user will change, each with what it is for.
    pub(super) fn places(&self) -> Vec<(PathBuf, &'static str)> {
        let place = |template: &Template| Some((self.directory.join(template.0), template.2?));
        self.templates().1.iter().filter_map(place).collect()
    }

    /// What every project in this language has, and what those of its kind have.
    fn templates(&self) -> (&'static [Template], &'static [Template]) {
        match (self.language, self.kind) {
            (ProjectLanguage::Rust(_), Kind::Dataflow) => (RUST, RUST_DATAFLOW),
            (ProjectLanguage::Rust(_), Kind::Node) => (RUST, RUST_NODE),
            (ProjectLanguage::Python, Kind::Dataflow) => (PYTHON, PYTHON_DATAFLOW),
            (ProjectLanguage::Python, Kind::Node) => (PYTHON, PYTHON_NODE),
        }
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

    fn rust() -> ProjectLanguage {
        ProjectLanguage::Rust(Api::of_this_build().expect("the sources"))
    }

    fn written(kind: Kind, directory: &Path) -> Result<(), CommandError> {
        written_in(&rust(), kind, directory)
    }

    fn written_in(language: &ProjectLanguage, kind: Kind, directory: &Path) -> Result<(), CommandError> {
        let name = ProjectName::from_str("robot").expect("a name");
        Project { kind, name: &name, language, directory }.write()
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
    fn what_python_needs_is_there_and_nothing_of_rust() {
        for (kind, program) in [(Kind::Dataflow, "talker.py"), (Kind::Node, "main.py")] {
            let directory = tempfile::tempdir().expect("a directory");
            written_in(&ProjectLanguage::Python, kind, directory.path()).expect("written");
            let dataflow = fs::read_to_string(directory.path().join("dataflow.yml")).expect("a dataflow");
            assert!(dataflow.contains(program) && !dataflow.contains("{{"), "{dataflow}");
            assert!(directory.path().join(program).is_file() && !directory.path().join("Cargo.toml").exists());
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
        Project { kind: Kind::Node, name: &name, language: &rust(), directory: &fresh }.withdraw(false);
        assert_eq!(fs::read_dir(&fresh).expect("the directory was not ours").count(), 0);
    }
}
