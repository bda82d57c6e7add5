//! What each Ctrl-C does to a run: ask, make haste, kill, leave.
//!
//! The orders go to the keeper from the thread of the signals, so that they work while the main thread waits for a
//! terminal; the main thread only tells about them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use dora_daemon::Control;

use crate::signals::{self, Interrupts};

/// The interrupts that were orders.
#[derive(Debug)]
pub(super) struct Orders {
    count: Arc<AtomicU32>,
    told: u32,
}

impl Orders {
    /// The third interrupt kills; whoever still waits leaves with the next.
    pub(super) const KILL: u32 = 3;

    /// From now on an interrupt is an order to the keeper; so is one that came before.
    pub(super) fn follow(interrupts: &Interrupts, control: Control, grace: Duration) -> Self {
        let count = Arc::new(AtomicU32::new(0));
        let shared = Arc::clone(&count);
        interrupts.tell(move |number| {
            // Before the order: whoever sees its effects must see the reason.
            shared.store(number, Relaxed);
            match number {
                1 => control.stop(grace),
                2 => control.hurry(),
                Self::KILL => control.kill(),
                _ => signals::leave(),
            }
            control.wake();
        });
        Self { count, told: 0 }
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
