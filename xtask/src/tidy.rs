//! `cargo xtask tidy`: what no compiler checks about the text of the repository.

use std::path::Path;

use crate::markdown;
use crate::translation;
use crate::wall_clock;
use crate::workspace;

/// Above this many lines a source file is named, as a question: is there a part with a name of its own?
const LONG_FILE: usize = 600;

/// Above this many bytes a file does not belong into the repository.
const BIG_FILE: u64 = 1024 * 1024;

/// What has no place in tracked text, and why. Written in two parts, so that this file does not find itself.
const FORBIDDEN: [(&str, &str); 7] = [
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("crates", ".io"), "the host of a package registry"),
    (concat!("pypi", ".org"), "the host of a package registry"),
    (concat!("python", "hosted.org"), "the host of a package registry"),
    (concat!("to", "do!("), "unfinished work"),
    (concat!("unimple", "mented!("), "unfinished work"),
];

/// Checks every file of the repository and lists everything found.
pub fn run() -> Result<(), String> {
    let files = workspace::files()?;
    let mut found = Vec::new();
    for file in &files {
        let size = std::fs::metadata(workspace::root().join(file)).map_or(0, |metadata| metadata.len());
        if size > BIG_FILE {
            found.push(format!("{}: {} KiB; what is large is fetched when it is needed", file.display(), size / 1024));
            continue;
        }
        let Some(text) = workspace::text(file)? else { continue };
        found.extend(conflicts(file, &text));
        // Lock files are generated, and name the registry.
        if file.extension().is_some_and(|extension| extension == "lock") {
            continue;
        }
        found.extend(forbidden_words(file, &text));
        if file.extension().is_some_and(|extension| extension == "rs") {
            found.extend(wall_clock::violation(file, &text));
        }
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("md") => {
                let exists =
                    |path: &Path| path.as_os_str().is_empty() || files.iter().any(|file| file.starts_with(path));
                found.extend(markdown::broken_links(file, &text, exists));
            }
            Some("rs") if text.lines().count() > LONG_FILE => {
                println!(
                    "warning: {}: {} lines; does a part of it have a name of its own?",
                    file.display(),
                    text.lines().count()
                );
            }
            _ => {}
        }
    }
    found.extend(translation::drifted(&files)?);
    for package in workspace::packages()? {
        if package.description.is_none_or(|description| description.trim().is_empty()) {
            found.push(format!("{}: no description in its Cargo.toml", package.name));
        }
    }
    if found.is_empty() {
        println!("{} files are tidy", files.len());
        Ok(())
    } else {
        Err(format!("not tidy:\n  {}", found.join("\n  ")))
    }
}

fn forbidden_words(file: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (word, why) in FORBIDDEN {
            if line.match_indices(word).any(|(at, _)| starts_a_word(line, at)) {
                found.push(format!("{}:{}: `{word}`: {why}", file.display(), index + 1));
            }
        }
    }
    found
}

/// Lines that git writes where two changes meet.
fn conflicts(file: &Path, text: &str) -> Vec<String> {
    let marks = text.lines().zip(1..).filter(|(line, _)| is_mark_of_a_conflict(line));
    marks.map(|(_, number)| format!("{}:{number}: a mark that git left at a conflict", file.display())).collect()
}

/// Seven of these characters, alone or before a name. Seven `=` may underline a title.
fn is_mark_of_a_conflict(line: &str) -> bool {
    ['<', '>', '|'].iter().any(|mark| {
        let after = line.strip_prefix(&mark.to_string().repeat(7));
        after.is_some_and(|after| after.is_empty() || after.starts_with(' '))
    })
}

/// Whether nothing before this position continues the same path or name: a `work` directory of the project is no path of a machine.
fn starts_a_word(line: &str, at: usize) -> bool {
    !line[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | '-' | '.' | '}' | '>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        forbidden_words(Path::new("a.rs"), text).len()
    }

    #[test]
    fn paths_of_a_machine_are_found_and_paths_of_the_project_are_not() {
        assert_eq!(found(concat!("open(\"/ro", "ot/x\")")), 1);
        assert_eq!(found(concat!("cd /wo", "rk/main")), 1);
        assert_eq!(found(concat!("benches/wo", "rk/main")), 0);
        assert_eq!(found(concat!("$DIR}/ro", "ot/")), 0);
    }

    #[test]
    fn marks_of_a_conflict_are_found() {
        for mark in ["<", ">", "|"].map(|mark| mark.repeat(7)) {
            let found = |text: String| conflicts(Path::new("a.md"), &text).len();
            assert_eq!(found(format!("kept\n{mark} HEAD\nkept\n{mark}\n")), 2);
            assert_eq!(found(format!("  {mark} HEAD\n{mark}{mark}\n")), 0);
        }
    }

    #[test]
    fn registries_and_unfinished_work_are_found() {
        assert_eq!(found(concat!("https://pypi", ".org/simple")), 1);
        assert_eq!(found(concat!("  to", "do!()")), 1);
        assert_eq!(found("a plain line"), 0);
    }
}
