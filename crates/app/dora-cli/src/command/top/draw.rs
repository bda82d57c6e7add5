//! Puts a view on a terminal.

use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Modifier, Style},
    text::Line,
    widgets::{Row, Sparkline, Table, TableState},
};

use super::view::View;

/// Lines of the curve below the table.
const CURVE: u16 = 4;

/// Draws all of it.
pub(super) fn draw(view: &View, frame: &mut Frame<'_>) {
    let curve = view.curve();
    let below = if curve.is_some() { CURVE + 1 } else { 0 };
    let parts = [Constraint::Length(1), Constraint::Min(3), Constraint::Length(below), Constraint::Length(1)];
    let [top, middle, curve_place, bottom] = Layout::vertical(parts).areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::styled(view.summary(), bold), top);
    let rows = view.rows();
    let widths = widths(view.head(), &rows);
    let table = Table::new(rows.into_iter().map(Row::new), widths)
        .header(Row::new(view.head().iter().copied()).style(bold))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(view.chosen());
    frame.render_stateful_widget(table, middle, &mut state);
    if let Some((title, load)) = curve {
        let [name, place] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(curve_place);
        frame.render_widget(Line::styled(title, bold), name);
        // The latest on the right, as long as there is room.
        let start = load.len().saturating_sub(usize::from(place.width));
        frame.render_widget(Sparkline::default().data(&load[start..]).max(100), place);
    }
    let keys = "up/down choose   s sort   e edges or nodes   q quit";
    frame.render_widget(Line::styled(keys, Style::new().add_modifier(Modifier::DIM)), bottom);
}

/// As wide as the widest cell of each column.
fn widths(head: &[&str], rows: &[Vec<String>]) -> Vec<Constraint> {
    let width = |(column, title): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let widest = cells.chain([title.chars().count()]).max().unwrap_or(0);
        Constraint::Length(u16::try_from(widest + 1).unwrap_or(u16::MAX))
    };
    head.iter().enumerate().map(width).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::command::top::view::tests::view;

    #[test]
    fn everything_is_on_the_screen() {
        let mut terminal = Terminal::new(TestBackend::new(100, 14)).expect("a screen");
        terminal.draw(|frame| draw(&view(), frame)).expect("drawn");
        let shown = terminal.backend().to_string();
        for expected in ["dora top", "DATAFLOW", "camera", "32 MiB", "CPU of camera (50%)", "q quit"] {
            assert!(shown.contains(expected), "{expected}:\n{shown}");
        }
    }

    #[test]
    fn a_tiny_terminal_is_no_reason_to_fail() {
        for (width, height) in [(1, 1), (5, 2), (20, 5)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
            terminal.draw(|frame| draw(&view(), frame)).expect("drawn");
        }
    }
}
