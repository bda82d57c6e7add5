//! Which file a node's `path` means.

use std::{
    env::{consts::EXE_SUFFIX, split_paths},
    path::{Path, PathBuf, absolute},
};

use rustix::fs::{Access, access};

use super::{Problem, environment::Environment};

/// The program that `path` means: a file relative to the working directory, or else a command on the search path.
pub(super) fn resolve(path: &str, working_dir: &Path, environment: &Environment<'_>) -> Result<PathBuf, Problem> {
    let expanded = expand(path, environment)?;
    let mut relative = PathBuf::from(&expanded);
    if relative.extension().is_none() && !EXE_SUFFIX.is_empty() {
        relative.set_extension(EXE_SUFFIX.trim_start_matches('.'));
    }
    // Not canonical: what a symbolic link is called is part of what it does.
    let file = working_dir.join(&relative);
    let file = absolute(&file).unwrap_or(file);
    if file.exists() {
        return executable(file);
    }
    let is_command = relative.components().count() == 1 && !expanded.starts_with('.');
    if !is_command {
        let hint = hint(&file);
        return Err(Problem::ProgramMissing {
            path: path.to_owned(),
            looked: format!("at `{}`", file.display()),
            hint,
        });
    }
    let found = environment.search_path().and_then(|path| {
        split_paths(path).map(|dir| dir.join(&relative)).find(|candidate| executable(candidate.clone()).is_ok())
    });
    found.map(|found| absolute(&found).unwrap_or(found)).ok_or_else(|| Problem::ProgramMissing {
        path: path.to_owned(),
        looked: format!("in `{}` and on the PATH", working_dir.display()),
        hint: None,
    })
}

fn executable(file: PathBuf) -> Result<PathBuf, Problem> {
    if file.is_dir() {
        return Err(Problem::Directory { program: file });
    }
    match access(&file, Access::EXEC_OK) {
        Ok(()) => Ok(file),
        Err(_) => Err(Problem::NotExecutable { program: file }),
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

/// What may help with a program that is not there: most of them were not built, or built the other way.
fn hint(file: &Path) -> Option<String> {
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
        let resolved =
            |path: &str| with_env(&[("PATH", "/bin:/usr/bin")], |environment| resolve(path, dir.path(), environment));
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
        let hint = |path: &str| hint(&dir.path().join(path));
        assert_eq!(hint("target/release/a").unwrap(), "`cargo build --release --bin a` may build it");
        std::fs::create_dir_all(dir.path().join("target/debug")).unwrap();
        std::fs::write(dir.path().join("target/debug/a"), "").unwrap();
        assert_eq!(hint("target/release/a").unwrap(), "there is one in `target/debug`");
        assert_eq!(hint("build/a"), None);
    }
}
