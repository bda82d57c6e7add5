//! The nearest right spelling of a mistyped word.

/// The candidate that `word` was probably meant to be: the one that the fewest edits make of it, if few are enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.is_empty() || word.len() > 100 {
        return None;
    }
    let word = simplified(word);
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 100)
        .map(|candidate| (strsim::osa_distance(&word, &simplified(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Differences of case and between `-` and `_` are no differences.
fn simplified(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

/// "did you mean `x`?", or else the list of what there is.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(candidate) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean `{candidate}`?"));
    }
    list(candidates).map(|list| format!("{what}: {list}"))
}

/// The words of a list for a message, at most 50 of them.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const MAX: usize = 50;
    let words: Vec<&str> = words.into_iter().collect();
    let mut shown: Vec<String> = words.iter().take(MAX).map(|word| format!("`{word}`")).collect();
    if words.len() > MAX {
        shown.push(format!("and {} more", words.len() - MAX));
    }
    Some(shown.join(", ")).filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        let keys = ["inputs", "outputs", "id", "path", "on-failure"];
        assert_eq!(nearest("input", keys), Some("inputs"));
        assert_eq!(nearest("On_Failure", keys), Some("on-failure"));
        assert_eq!(nearest("pth", keys), Some("path"));
        assert_eq!(nearest("restart", keys), None);
        assert_eq!(did_you_mean("zz", "outputs", ["a", "b"]), Some("outputs: `a`, `b`".to_owned()));
        assert_eq!(did_you_mean("zz", "outputs", []), None);
    }
}
