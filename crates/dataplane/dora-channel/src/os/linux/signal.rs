//! Whether a wait goes on when a signal has interrupted it.

use std::sync::OnceLock;

static ASKED: OnceLock<fn() -> bool> = OnceLock::new();

/// From now on, and for this whole process, this is asked when a signal was handled by a thread that waits to send, or for
/// its dataflow to start. True: the wait is given up. For languages whose signal handlers run between instructions of
/// theirs; without it such waits go on. The first caller wins.
pub fn on_interrupt(gives_up: fn() -> bool) {
    let _ = ASKED.set(gives_up);
}

/// A signal was handled by this thread, in a wait: whether that is given up.
#[cold]
pub(crate) fn gives_up() -> bool {
    ASKED.get().is_some_and(|gives_up| gives_up())
}
