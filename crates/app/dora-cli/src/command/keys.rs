//! Keys that are pressed while a command goes on.

use std::{
    io::{self, IsTerminal as _},
    thread,
};

use ratatui::crossterm::{
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    terminal,
};
use tokio::sync::mpsc;

/// Reads keys, and changes of the terminal's size, on a thread of its own, which ends with the process.
pub(super) fn events() -> mpsc::Receiver<Event> {
    let (sender, events) = mpsc::channel(16);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    events
}

/// The key, if one was pressed, and whether Ctrl was held.
pub(super) fn pressed(event: &Event) -> Option<(KeyCode, bool)> {
    match event {
        Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, .. }) => {
            Some((*code, modifiers.contains(KeyModifiers::CONTROL)))
        }
        _ => None,
    }
}

/// Whether somebody has seen enough: `q`, Esc, Ctrl-C.
pub(super) fn quits(event: &Event) -> bool {
    matches!(pressed(event), Some((KeyCode::Char('c'), true) | (KeyCode::Char('q'), false) | (KeyCode::Esc, _)))
}

/// A terminal that hands over each key as it is pressed. It is as before when this is dropped.
pub(super) struct Keys {
    events: mpsc::Receiver<Event>,
}

impl Keys {
    /// None if there is no terminal on both sides.
    pub(super) fn of_terminal() -> io::Result<Option<Self>> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Ok(None);
        }
        terminal::enable_raw_mode()?;
        Ok(Some(Self { events: events() }))
    }

    /// Comes back when somebody has seen enough.
    pub(super) async fn quit(&mut self) {
        while let Some(event) = self.events.recv().await {
            if quits(&event) {
                return;
            }
        }
        std::future::pending().await
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = terminal::disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_seen_enough_says_so() {
        let quits = |code, modifiers| quits(&Event::Key(KeyEvent::new(code, modifiers)));
        assert!(quits(KeyCode::Char('q'), KeyModifiers::NONE) && quits(KeyCode::Esc, KeyModifiers::NONE));
        assert!(quits(KeyCode::Char('c'), KeyModifiers::CONTROL) && !quits(KeyCode::Char('c'), KeyModifiers::NONE));
    }
}
