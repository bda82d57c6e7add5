//! Ctrl-C, SIGTERM and SIGHUP as something that can be awaited.

use std::io;

use tokio::sync::watch;

use crate::{building, error::CommandError, signals::Interrupts};

/// The interrupts of this process, from now on: they do not end it by themselves any more.
pub(crate) struct CtrlC {
    count: watch::Receiver<u32>,
    _interrupts: Interrupts,
}

impl CtrlC {
    /// Hears them from now on.
    pub(crate) fn listen() -> Result<Self, CommandError> {
        Self::of(Interrupts::listen())
    }

    /// Hears some of them.
    pub(crate) fn of(interrupts: io::Result<Interrupts>) -> Result<Self, CommandError> {
        let interrupts = building::listening(interrupts)?;
        let (sender, count) = watch::channel(0);
        interrupts.tell(move |number| {
            sender.send_replace(number);
        });
        Ok(Self { count, _interrupts: interrupts })
    }

    /// Waits for the next one; how many there were so far. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&mut self) -> u32 {
        match self.count.changed().await {
            Ok(()) => *self.count.borrow_and_update(),
            // The sender lives as long as the interrupts are heard.
            Err(_) => std::future::pending().await,
        }
    }
}
