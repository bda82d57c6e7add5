//! `dora new`: a project that runs at once.
//!
//! `name` says what it may be called, `api` where it finds the API, `project` which files it has; the files themselves
//! are in `rust/` and `python/`, where the nodes are ordinary sources: the end-to-end tests run them.

pub(crate) mod api;
mod name;
mod project;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;

use dora_daemon::PythonModule;

use self::{
    api::Api,
    name::ProjectName,
    project::{Project, ProjectLanguage},
};
use crate::{error::CommandError, python_module, unserved};

const EXAMPLES: &str = "\
Examples:
  dora new robot                            a dataflow of two nodes, in the directory robot
  dora new camera --kind node               a node, with a dataflow to try it alone
  dora new robot work/robot                 in another directory
  dora new robot --lang python              with nodes in Python
  dora new robot --api-path ~/dora          with the node API of that clone of dora

A project in Rust depends on `dora-node-api` in the clone of dora's repository that this program was built from.";

/// Make a new dataflow or node that runs at once.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What it is called: lower-case letters, digits, `-` and `_`.
    name: ProjectName,
    /// Where to make it; a directory called NAME if left out.
    directory: Option<PathBuf>,
    /// What to make.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// The language of its nodes.
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
    /// A clone of dora's repository, or its directory `apis/rust/dora-node-api`.
    #[arg(long, value_name = "DIRECTORY")]
    api_path: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A dataflow file and the nodes that it names.
    #[default]
    Dataflow,
    /// One node, for a dataflow that exists.
    #[value(alias = "custom-node")]
    Node,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Language {
    #[default]
    Rust,
    Python,
    #[value(hide = true)]
    C,
    #[value(hide = true, alias = "c++", alias = "cpp")]
    Cxx,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let language = match arguments.lang {
        Language::Rust => ProjectLanguage::Rust(match &arguments.api_path {
            Some(directory) => Api::in_directory(directory)?,
            None => Api::of_this_build().ok_or_else(no_api)?,
        }),
        Language::Python => ProjectLanguage::Python,
        Language::C | Language::Cxx => return Err(not_served(arguments.lang)),
    };
    let directory = arguments.directory.clone().unwrap_or_else(|| PathBuf::from(arguments.name.as_str()));
    let project = Project { kind: arguments.kind, name: &arguments.name, language: &language, directory: &directory };
    project.write()?;
    super::print(&next_steps(&project))?;
    Ok(ExitCode::SUCCESS)
}

fn not_served(language: Language) -> CommandError {
    let language = language.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let instead = "`--lang rust` makes a project in Rust, `--lang python` one in Python";
    unserved::unserved_flag("new", &format!("--lang {language}"), instead)
}

fn no_api() -> CommandError {
    CommandError::failed("the sources that this `dora` was built from are not there any more").with_hint(
        "a project needs `dora-node-api` from them: clone dora's repository and add `--api-path <the clone>`",
    )
}

/// What was made, and what to type now.
fn next_steps(project: &Project<'_>) -> String {
    let language = project.language.name();
    let what = match project.kind {
        Kind::Dataflow => format!("a dataflow of two nodes in {language}"),
        Kind::Node => format!("a node in {language}"),
    };
    let places = project.places();
    let width = places.iter().map(|(path, _)| path.display().to_string().len()).max().unwrap_or_default();
    let mut text = format!("`{}` is {what}:\n", project.name);
    for (path, purpose) in places {
        text += &format!("  {:<width$}  {purpose}\n", path.display().to_string());
    }
    text += &match project.language {
        ProjectLanguage::Rust(api) => how_to_run_rust(project, api),
        ProjectLanguage::Python => how_to_run_python(project, &python_module::find()),
    };
    text
}

fn how_to_run_rust(project: &Project<'_>, api: &Api) -> String {
    let (name, directory) = (project.name, project.directory.display());
    let mut text = format!("Its Cargo.toml takes `dora-node-api` from {}\n", api.path());
    text += &format!(
        "\nBuild it and run it; Ctrl-C stops it:\n  cd {}\n  dora run dataflow.yml\n",
        shell_word(project.directory)
    );
    if project.kind == Kind::Node {
        text += &format!(
            "\nIn a dataflow file beside the directory it is\n  - id: {name}\n    path: {directory}/target/debug/{name}\n    \
             build: cargo build --manifest-path {directory}/Cargo.toml\n"
        );
    }
    text
}

fn how_to_run_python(project: &Project<'_>, module: &PythonModule) -> String {
    let (name, directory) = (project.name, project.directory.display());
    let mut text =
        format!("\nRun it; Ctrl-C stops it:\n  cd {}\n  dora run dataflow.yml --uv\n", shell_word(project.directory));
    text += &match module.wheel() {
        Ok(wheel) => format!(
            "`--uv` brings the module `dora` along. To do without, install it once:\n  pip install {}\n",
            shell_word(wheel)
        ),
        Err(_) => {
            "The module `dora` must be installed first: `cargo xtask wheel` in a clone of dora makes its wheel.\n"
                .to_owned()
        }
    };
    if project.kind == Kind::Node {
        text += &format!(
            "\nIn a dataflow file beside the directory it is\n  - id: {name}\n    path: {directory}/main.py\n"
        );
    }
    text
}

/// The path as a shell takes it for one word.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_with_blanks_can_be_typed() {
        assert_eq!(shell_word(Path::new("work/robot-1")), "work/robot-1");
        assert_eq!(shell_word(Path::new("it's a robot")), r"'it'\''s a robot'");
    }
}
