//! What each Ctrl-C does: ask, make haste, kill, leave.
//!
//! The orders go to the keeper from the thread of the signals, so that they work while the main thread waits for a
//! terminal; the main thread only tells about them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use dora_daemon::Control;

use crate::signals::{self, Listener};

/// The interrupts of this run.
#[derive(Debug)]
pub(super) struct Interrupts {
    count: Arc<AtomicU32>,
    told: u32,
    _listener: Listener,
}

impl Interrupts {
    /// The third interrupt kills; whoever still waits leaves with the next.
    pub(super) const KILL: u32 = 3;

    /// Listens from now on.
    pub(super) fn listen(control: Control, grace: Duration) -> io::Result<Self> {
        let count = Arc::new(AtomicU32::new(0));
        let shared = Arc::clone(&count);
        let listener = signals::on_interrupt(Self::KILL, move |number| {
            // Before the order: whoever sees its effects must see the reason.
            shared.store(number, Relaxed);
            match number {
                1 => control.stop(grace),
                2 => control.hurry(),
                _ => control.kill(),
            }
            control.wake();
        })?;
        Ok(Interrupts { count, told: 0, _listener: listener })
    }

    /// How many there were.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }

    /// What to tell about those that came since the last call.
    pub(super) fn news(&mut self) -> Option<&'static str> {
        let now = self.count();
        let before = std::mem::replace(&mut self.told, now);
        match (before < now, now) {
            (true, 1) => Some("stopping the nodes; Ctrl-C again ends them with SIGTERM"),
            (true, 2) => Some("SIGTERM to the nodes, SIGKILL in two seconds; Ctrl-C again kills them now"),
            (true, _) => Some("killing the nodes; Ctrl-C again leaves at once"),
            (false, _) => None,
        }
    }
}
