//! Whether a translated document still says what its original says, as far as that can be seen without knowing languages:
//! the same code, the same number of headings and of list items.

use std::path::{Path, PathBuf};

use crate::workspace;

/// Originals and their translations.
const PAIRS: [(&str, &str); 1] = [("README.md", "README.zh-CN.md")];

/// What of these documents has drifted apart, in sentences.
pub fn drifted(files: &[PathBuf]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for (original, translation) in PAIRS {
        let text = |name: &str| match files.iter().any(|file| file == Path::new(name)) {
            true => workspace::text(Path::new(name)),
            false => Ok(None),
        };
        let (Some(ours), Some(theirs)) = (text(original)?, text(translation)?) else {
            found.push(format!("{original} and {translation}: one of them is not there"));
            continue;
        };
        found.extend(differences(&ours, &theirs).map(|difference| format!("{translation}: {difference} ({original})")));
    }
    Ok(found)
}

fn differences(original: &str, translation: &str) -> impl Iterator<Item = String> {
    let (ours, theirs) = (Outline::of(original), Outline::of(translation));
    let count = |what: &str, ours: usize, theirs: usize| {
        (ours != theirs).then(|| format!("{theirs} {what}, the original has {ours}"))
    };
    let line = ours.code.iter().zip(&theirs.code).find(|(ours, theirs)| ours != theirs);
    [
        count("headings", ours.headings, theirs.headings),
        count("list items", ours.items, theirs.items),
        count("lines of code", ours.code.len(), theirs.code.len()),
        line.map(|(ours, theirs)| format!("`{theirs}`, the original has `{ours}`")),
    ]
    .into_iter()
    .flatten()
}

/// What does not depend on the language.
#[derive(Default)]
struct Outline<'a> {
    headings: usize,
    items: usize,
    /// The lines of fenced blocks without their comments, which may be translated.
    code: Vec<&'a str>,
}

impl<'a> Outline<'a> {
    fn of(text: &'a str) -> Self {
        let mut outline = Self::default();
        let mut in_fence = false;
        for line in text.lines() {
            if line.starts_with("```") {
                in_fence = !in_fence;
            } else if in_fence {
                outline.code.push(line.split(" # ").next().unwrap_or_default().trim_end());
            } else {
                outline.headings += usize::from(line.starts_with('#'));
                outline.items += usize::from(line.starts_with("- "));
            }
        }
        outline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINAL: &str = "# Title\n- one\n- two\n```\ncargo test    # every test\n```\n";

    fn drift(translation: &str) -> Vec<String> {
        differences(ORIGINAL, translation).collect()
    }

    #[test]
    fn prose_and_comments_may_differ() {
        assert!(drift("# Titel\n- eins\n- zwei\n```\ncargo test # alle\n```\n").is_empty());
    }

    #[test]
    fn commands_headings_and_items_may_not() {
        let other = drift("# Titel\n- eins\n```\ncargo tset # alle\n```\n");
        assert_eq!(other, ["1 list items, the original has 2", "`cargo tset`, the original has `cargo test`"]);
        assert_eq!(drift("- eins\n- zwei\n").len(), 2);
    }
}
