//! Tables of text for people: columns as wide as they must be, nothing else.

/// Where the text of a column begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    /// For numbers.
    Right,
}

/// The table as lines, its head first. Rows must be as long as the head.
pub(crate) fn lines(head: &[(&str, Align)], rows: &[Vec<String>]) -> Vec<String> {
    let titles: Vec<String> = head.iter().map(|(title, _)| (*title).to_owned()).collect();
    let all = || std::iter::once(&titles).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let cell = |(text, ((_, align), width)): (&String, (&(&str, Align), &usize))| match align {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
    };
    let line = |row: &Vec<String>| row.iter().zip(head.iter().zip(&widths)).map(cell).collect::<Vec<_>>().join("  ");
    all().map(|row| line(row).trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let head = [("edge", Align::Left), ("sent", Align::Right)];
        let rows = [vec!["a".to_owned(), "1000".to_owned()], vec!["long name".to_owned(), "2".to_owned()]];
        assert_eq!(lines(&head, &rows), ["edge       sent", "a          1000", "long name     2"]);
    }
}
