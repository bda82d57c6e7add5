//! Finds links in Markdown that lead to no file of the project.

use std::path::{Component, Path, PathBuf};

/// The targets of all inline links outside of code: `[text](target)` gives `target`.
fn links(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut in_fence = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence {
            // Every second piece between backticks is code.
            for prose in line.split('`').step_by(2) {
                links.extend(
                    prose.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target)),
                );
            }
        }
    }
    links
}

/// The links of one document that lead nowhere, given the files and directories that exist.
///
/// Links to other sites and anchors within a document are not followed.
pub fn broken_links(document: &Path, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let directory = document.parent().unwrap_or(Path::new(""));
    links(text)
        .into_iter()
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:") && !target.starts_with('#'))
        .filter(|target| {
            let path = target.split('#').next().unwrap_or(target);
            resolved(&directory.join(path)).is_none_or(|path| !exists(&path))
        })
        .map(|target| format!("{}: the link to {target} leads nowhere", document.display()))
        .collect()
}

/// The path without `.` and `..`; `None` if it leaves the repository.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !resolved.pop() {
                    return None;
                }
            }
            Component::Normal(name) => resolved.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> usize {
        broken_links(Path::new("docs/a.md"), text, |path| {
            path == Path::new("README.md") || path == Path::new("docs/b.md")
        })
        .len()
    }

    #[test]
    fn links_to_files_are_followed_from_the_document() {
        assert_eq!(broken("[b](b.md) and [b](./b.md#part) and [up](../README.md)"), 0);
        assert_eq!(broken("[b](README.md), [c](c.md)"), 2);
        assert_eq!(broken("[out](../../README.md) [root](/README.md)"), 2);
    }

    #[test]
    fn other_sites_anchors_and_code_are_not_followed() {
        assert_eq!(broken("[site](https://example.org/x) [part](#part) `[code](nowhere)`"), 0);
        assert_eq!(broken("```\n[code](nowhere)\n```\n[prose](nowhere)"), 1);
    }
}
