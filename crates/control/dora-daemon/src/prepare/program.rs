//! What a node runs: the file and its arguments.

use std::{
    env::consts::EXE_SUFFIX,
    ffi::OsStr,
    path::{Path, PathBuf, absolute},
};

use dora_descriptor::model::{PathKind, Standard};

use super::{Problem, environment::Environment, python, search, uv};
use crate::python::PythonModule;

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
}

/// What a node runs. Adds every mistake to `mistakes`, and gives nothing then.
pub(super) fn command_line(
    standard: &Standard,
    downloaded: Option<&Path>,
    working_dir: &Path,
    environment: &Environment<'_>,
    mut mistake: impl FnMut(Problem),
) -> Option<CommandLine> {
    let kind = match (standard.path_kind(), downloaded) {
        // What was downloaded is a file like any other.
        (PathKind::Url, Some(file)) => PathKind::of(&file.to_string_lossy()),
        (kind, _) => kind,
    };
    let program = match kind {
        PathKind::Shell => shell(environment),
        PathKind::Url => Err(Problem::NotBuilt),
        _ if downloaded.is_some() => Ok(downloaded.map(Path::to_owned).unwrap_or_default()),
        _ => file(&standard.path, kind, working_dir, environment),
    };
    let program = program.map_err(&mut mistake).ok();
    let text = standard.args.as_deref().unwrap_or_default();
    let args = match kind {
        PathKind::Shell => Some(vec!["-c".to_owned(), text.to_owned()]),
        _ => shlex::split(text).or_else(|| {
            mistake(Problem::Args { args: text.to_owned() });
            None
        }),
    };
    let (program, args) = (program?, args?);
    let runner = match (kind, environment.uv_run()) {
        (PathKind::Python, Some(module)) => uv_run(module, &["python", "-u"], environment),
        (PathKind::Program, Some(module)) => uv_run(module, &[], environment),
        (PathKind::Python, None) => python(environment),
        _ => return Some(CommandLine { program, args }),
    };
    let command = runner.and_then(|runner| runner.runs(&program, args));
    command.map_err(mistake).ok()
}

impl CommandLine {
    /// Has a file with its own arguments run by this program with these arguments.
    fn runs(self, file: &Path, args: Vec<String>) -> Result<Self, Problem> {
        let file = text(file)?;
        Ok(CommandLine { program: self.program, args: self.args.into_iter().chain([file]).chain(args).collect() })
    }
}

fn python(environment: &Environment<'_>) -> Result<CommandLine, Problem> {
    let program = python::interpreter(environment.search_path()).ok_or(Problem::NoPython)?;
    Ok(CommandLine { program, args: vec!["-u".to_owned()] })
}

/// What runs a program in the environment of its project, with our module before all others.
fn uv_run(module: &PythonModule, words: &[&str], environment: &Environment<'_>) -> Result<CommandLine, Problem> {
    let program = search::find("uv", environment.search_path()).ok_or(Problem::NoUv)?;
    let wheel = text(module.wheel().map_err(Problem::no_python_module)?)?;
    let with_module = ["run", "--with", &wheel, "--with", uv::ANY_NUMPY];
    let words = with_module.iter().chain(words);
    Ok(CommandLine { program, args: words.map(|word| (*word).to_owned()).collect() })
}

fn text(path: &Path) -> Result<String, Problem> {
    path.to_str().map(str::to_owned).ok_or_else(|| Problem::NotText { path: path.to_owned() })
}

fn shell(environment: &Environment<'_>) -> Result<PathBuf, Problem> {
    if !environment.shell_allowed() {
        return Err(Problem::ShellNotAllowed);
    }
    search::find("sh", environment.search_path()).ok_or_else(|| missing_command("sh", None, environment))
}

/// The file that `path` means: relative to the working directory, or else a command on the search path.
fn file(path: &str, kind: PathKind, working_dir: &Path, environment: &Environment<'_>) -> Result<PathBuf, Problem> {
    let expanded = expand(path, environment)?;
    let mut relative = PathBuf::from(&expanded);
    if relative.extension().is_none() && !EXE_SUFFIX.is_empty() {
        relative.set_extension(EXE_SUFFIX.trim_start_matches('.'));
    }
    // Not canonical: what a symbolic link is called is part of what it does.
    let file = working_dir.join(&relative);
    let file = absolute(&file).unwrap_or(file);
    if file.exists() {
        return usable(file, kind);
    }
    let is_command = relative.components().count() == 1 && !expanded.starts_with('.') && kind == PathKind::Program;
    if !is_command {
        let looked = format!("at `{}`", file.display());
        return Err(Problem::ProgramMissing { path: path.to_owned(), looked, hint: hint(path, &file) });
    }
    let found = search::find(&relative, environment.search_path());
    // It may be in the environment that `uv run` activates.
    let left_to_uv = environment.uv_run().map(|_| relative);
    found.or(left_to_uv).ok_or_else(|| missing_command(&expanded, Some(working_dir), environment))
}

fn missing_command(name: &str, dir: Option<&Path>, environment: &Environment<'_>) -> Problem {
    let nearest = dir
        .and_then(|dir| search::nearest_in(dir, name))
        .or_else(|| search::nearest_program(name, environment.search_path()));
    let looked = match dir {
        Some(dir) => format!("in `{}` and on the PATH", dir.display()),
        None => "on the PATH".to_owned(),
    };
    Problem::ProgramMissing { path: name.to_owned(), looked, hint: nearest.map(|name| did_you_mean(&name)) }
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// A Python file is read, every other one is executed.
fn usable(file: PathBuf, kind: PathKind) -> Result<PathBuf, Problem> {
    if file.is_dir() {
        Err(Problem::Directory { program: file })
    } else if kind == PathKind::Python || search::is_program(&file) {
        Ok(file)
    } else {
        Err(Problem::NotExecutable { program: file })
    }
}

/// Replaces `$NAME` and `${NAME}`.
fn expand(path: &str, environment: &Environment<'_>) -> Result<String, Problem> {
    let mut expanded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        expanded += before;
        let (name, remaining) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(found) => found,
            None => after.split_at(after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len())),
        };
        if name.is_empty() {
            expanded.push('$');
        } else {
            let unset = || Problem::UnsetVariable { path: path.to_owned(), name: name.to_owned() };
            expanded += environment.variable(name).ok_or_else(unset)?;
        }
        rest = remaining;
    }
    Ok(expanded + rest)
}

/// What may help with a program that is not there.
fn hint(path: &str, file: &Path) -> Option<String> {
    if let Some(plain) = path.strip_prefix("file://") {
        return Some(format!("`path` takes a path or an http(s) URL: `{plain}`"));
    }
    not_built(file).or_else(|| {
        let nearest = search::nearest_in(file.parent()?, file.file_name().and_then(OsStr::to_str)?)?;
        let dir = Path::new(path).parent().unwrap_or(Path::new(""));
        Some(did_you_mean(&dir.join(nearest).to_string_lossy()))
    })
}

/// Most programs that are not there were not built, or built the other way.
fn not_built(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let profile = file.parent()?;
    if profile.parent()?.file_name()? != "target" {
        return None;
    }
    let (flag, other) = match profile.file_name()?.to_str()? {
        "release" => (" --release", "debug"),
        "debug" => ("", "release"),
        _ => return None,
    };
    if profile.with_file_name(other).join(name).exists() {
        return Some(format!("there is one in `target/{other}`"));
    }
    Some(format!("`cargo build{flag} --bin {name}` may build it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrepareOptions;

    fn with_env<T>(env: &[(&str, &str)], test: impl FnOnce(&Environment<'_>) -> T) -> T {
        let inherited_env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let options = PrepareOptions { inherited_env, ..PrepareOptions::default() };
        test(&Environment::new(&options, &mut Vec::new()))
    }

    #[test]
    fn variables_in_paths() {
        let expanded = |path| with_env(&[("HOME", "/h"), ("A_1", "x")], |environment| expand(path, environment));
        assert_eq!(expanded("$HOME/bin/${A_1}y$A_1"), Ok("/h/bin/xyx".to_owned()));
        assert_eq!(expanded("a$/b${"), Ok("a$/b${".to_owned()));
        assert!(matches!(expanded("$NO/x"), Err(Problem::UnsetVariable { name, .. }) if name == "NO"));
    }

    #[test]
    fn files_come_before_commands() {
        let dir = tempfile::tempdir().unwrap();
        let resolved = |path: &str| {
            with_env(&[("PATH", "/bin:/usr/bin")], |environment| {
                file(path, PathKind::of(path), dir.path(), environment)
            })
        };
        assert!(resolved("sh").unwrap().ends_with("bin/sh"));
        std::os::unix::fs::symlink("/bin/sh", dir.path().join("sh")).unwrap();
        assert_eq!(resolved("sh").unwrap(), dir.path().join("sh"));
        assert_eq!(resolved("./sh").unwrap(), dir.path().join("sh"));
        assert!(matches!(resolved("./ls"), Err(Problem::ProgramMissing { .. })));
        std::fs::write(dir.path().join("text"), "").unwrap();
        assert!(matches!(resolved("text"), Err(Problem::NotExecutable { .. })));
        assert!(matches!(resolved("../"), Err(Problem::Directory { .. })));
    }

    #[test]
    fn programs_that_were_not_built() {
        let dir = tempfile::tempdir().unwrap();
        let hint = |path: &str| hint(path, &dir.path().join(path));
        assert_eq!(hint("target/release/a").unwrap(), "`cargo build --release --bin a` may build it");
        std::fs::create_dir_all(dir.path().join("target/debug")).unwrap();
        std::fs::write(dir.path().join("target/debug/a"), "").unwrap();
        assert_eq!(hint("target/release/a").unwrap(), "there is one in `target/debug`");
        assert_eq!(hint("build/a"), None);
    }

    #[test]
    fn the_nearest_name_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("nodes")).unwrap();
        std::fs::write(dir.path().join("nodes/camera.py"), "").unwrap();
        let hint = |path: &str| {
            let problem = with_env(&[("PATH", "/bin:/usr/bin")], |environment| {
                file(path, PathKind::of(path), dir.path(), environment)
            });
            match problem {
                Err(Problem::ProgramMissing { hint, .. }) => hint.unwrap_or_default(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(hint("nodes/camra.py"), "did you mean `nodes/camera.py`?");
        assert_eq!(hint("./nodes/camera"), "did you mean `./nodes/camera.py`?");
        assert_eq!(hint("file:///opt/camera"), "`path` takes a path or an http(s) URL: `/opt/camera`");
        assert_eq!(hint("slepe"), "did you mean `sleep`?");
    }
}
