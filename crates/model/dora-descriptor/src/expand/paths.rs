//! Paths of a module's nodes, which are relative to the module file, made relative to the dataflow file.

use std::path::{Component, Path};

use crate::{
    loader::normalize,
    model::{Node, NodeKind, OperatorSource, PathKind},
    places::Part,
};

/// Rebases all paths of a node of a module in directory `dir`, which is relative to the dataflow file.
///
/// Gives the part and the path that leads out of the directory of the dataflow, if one does.
pub(super) fn rebase(node: &mut Node, dir: &Path, exists: &dyn Fn(&str) -> bool) -> Result<(), (Part, String)> {
    let result = match &mut node.kind {
        // A path in a repository is relative to the repository.
        NodeKind::Standard(standard) if standard.git.is_some() => Ok(()),
        NodeKind::Standard(standard) => {
            let file = standard.build.is_some() || is_file_name(&standard.path) || exists(&standard.path);
            if file { rebase_path(&mut standard.path, dir).map_err(|path| (Part::Key("path"), path)) } else { Ok(()) }
        }
        NodeKind::Runtime(runtime) => runtime.operators.iter_mut().try_for_each(|operator| {
            let (key, path) = match &mut operator.source {
                OperatorSource::Python { source, .. } => ("python", source),
                OperatorSource::SharedLibrary(path) => ("shared-library", path),
            };
            rebase_path(path, dir).map_err(|path| (Part::Operator(operator.id.clone(), key), path))
        }),
    };
    let working_dir = node.deploy.as_mut().and_then(|deploy| deploy.working_dir.as_mut());
    let deploy = working_dir.map_or(Ok(()), |path| rebase_path(path, dir));
    result.and(deploy.map_err(|path| (Part::Key("deploy"), path)))
}

/// Whether a text can only be a file: a bare word may be a command of the search path.
fn is_file_name(path: &str) -> bool {
    path.contains(['/', '.'])
}

fn rebase_path(path: &mut String, dir: &Path) -> Result<(), String> {
    let kept = matches!(PathKind::of(path), PathKind::Dynamic | PathKind::Shell | PathKind::Url)
        || path.starts_with(['/', '$', '~'])
        || path.is_empty();
    if kept {
        return Ok(());
    }
    let rebased = normalize(&dir.join(path.as_str()));
    if rebased.components().next() == Some(Component::ParentDir) {
        return Err(path.clone());
    }
    *path = rebased.to_string_lossy().into_owned();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_move() {
        for (path, expected) in [
            ("a.py", "modules/a.py"),
            ("./bin/a", "modules/bin/a"),
            ("../a.py", "a.py"),
            ("shell", "shell"),
            ("dynamic", "dynamic"),
            ("https://example.org/a", "https://example.org/a"),
            ("/usr/bin/a", "/usr/bin/a"),
            ("$HOME/a", "$HOME/a"),
        ] {
            let mut rebased = path.to_owned();
            assert_eq!(rebase_path(&mut rebased, Path::new("modules")), Ok(()));
            assert_eq!(rebased, expected);
        }
        assert!(rebase_path(&mut "../../a".to_owned(), Path::new("modules")).is_err());
    }
}
