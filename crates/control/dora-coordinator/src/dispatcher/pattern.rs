//! Names that somebody means: a part of them, or with `*` and `?` what the whole name must look like.

/// Whether a name is meant. `*` stands for any text, `?` for any character; without both, the name must contain the text.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return name.contains(pattern);
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut in_name) = (0, 0);
    // Where the last star is, and how far what it stands for reaches.
    let mut star = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(char) if *char == '?' || *char == name[in_name] => (at, in_name) = (at + 1, in_name + 1),
            _ => {
                let Some((place, reach)) = star else { return false };
                star = Some((place, reach + 1));
                (at, in_name) = (place + 1, reach + 1);
            }
        }
    }
    pattern[at..].iter().all(|char| *char == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_patterns() {
        for (pattern, name) in [
            ("cam", "my-camera"),
            ("", "x"),
            ("cam*", "camera"),
            ("*ra", "camera"),
            ("c*m*a", "camera"),
            ("c?mera", "camera"),
            ("*", ""),
            ("*aab", "aaab"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("cam*", "my-camera"), ("c?era", "camera"), ("*x", "camera"), ("?", ""), ("a*b", "ba")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
