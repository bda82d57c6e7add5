//! The terminal while `dora top` has it: looks and keys, until `q`.

use std::{io, process::ExitCode, time::Duration};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{Event, KeyCode},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    draw::draw,
    look::look,
    view::{Order, View},
};
use crate::{
    client::{Client, CtrlC},
    command::keys,
    error::CommandError,
};

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Order(Order),
    /// The terminal has another size.
    Redraw,
    Quit,
}

/// Shows figures until somebody has seen enough.
pub(super) fn run(client: &Client, interval: Duration) -> Result<ExitCode, CommandError> {
    // Before the terminal is changed: what is wrong is told on an ordinary one.
    let first = look(client)?;
    // SIGTERM must not leave the terminal as it is now.
    let mut ctrl_c = CtrlC::listen()?;
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let events = keys::events();
    let mut view = View::new();
    view.update(first);
    let shown = show(client, &mut terminal, &mut view, events, &mut ctrl_c, interval);
    ratatui::restore();
    shown.map(|()| ExitCode::SUCCESS)
}

fn show(
    client: &Client,
    terminal: &mut DefaultTerminal,
    view: &mut View,
    mut events: mpsc::Receiver<Event>,
    ctrl_c: &mut CtrlC,
    interval: Duration,
) -> Result<(), CommandError> {
    let mut due = Instant::now() + interval;
    loop {
        terminal.draw(|frame| draw(view, frame)).map_err(failed)?;
        let next = client.block_on(async {
            tokio::select! {
                _ = ctrl_c.next() => Ok(Some(Input::Quit)),
                event = timeout_at(due, events.recv()) => event.map(|event| event.map_or(Some(Input::Quit), |it| meaning(&it))),
            }
        });
        match next {
            Ok(Some(Input::Order(order))) => view.order(order),
            Ok(Some(Input::Redraw) | None) => {}
            Ok(Some(Input::Quit)) => return Ok(()),
            Err(_) => {
                view.update(look(client)?);
                due = Instant::now() + interval;
            }
        }
    }
}

fn meaning(event: &Event) -> Option<Input> {
    if keys::quits(event) {
        return Some(Input::Quit);
    }
    if matches!(event, Event::Resize(..)) {
        return Some(Input::Redraw);
    }
    match keys::pressed(event)?.0 {
        KeyCode::Char('k') | KeyCode::Up => Some(Input::Order(Order::Up)),
        KeyCode::Char('j') | KeyCode::Down => Some(Input::Order(Order::Down)),
        KeyCode::Char('s') => Some(Input::Order(Order::Sort)),
        KeyCode::Char('e') | KeyCode::Tab => Some(Input::Order(Order::Turn)),
        _ => None,
    }
}

fn failed(error: io::Error) -> CommandError {
    CommandError::failed(format!("the terminal cannot be used: {error}"))
        .with_hint("`dora top --once` prints the figures of this moment as JSON")
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::{KeyEvent, KeyModifiers};

    use super::*;

    #[test]
    fn keys_have_their_meaning() {
        let key = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Input::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Input::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Up, KeyModifiers::NONE), Some(Input::Order(Order::Up)));
        assert_eq!(meaning(&Event::Resize(3, 4)), Some(Input::Redraw));
    }
}
