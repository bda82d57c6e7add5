//! Texts with places to fill in.

/// Fills the places `{{name}}` of a template, in one pass: what is filled in is not looked at again.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut pieces = template.split("{{");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        let value = values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        filled.push_str(value);
        filled.push_str(rest);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn values_are_not_looked_at_again() {
        assert_eq!(fill("a {{x}}, {{y}}.", &[("x", "{{y}}"), ("y", "2")]), "a {{y}}, 2.");
        assert_eq!(fill("no places", &[("x", "1")]), "no places");
    }
}
