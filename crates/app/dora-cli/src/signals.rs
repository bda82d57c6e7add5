//! Ctrl-C, SIGTERM and SIGHUP, however often.
//!
//! A thread waits for them, so that they work even while the main thread waits for a terminal that nobody reads. What
//! they mean changes while a command goes on: while it builds, while nodes run. One that comes in between, when nobody
//! can act on it, is not lost: the next who can is told. It must not know what each of them means.

use std::{
    ffi::c_int,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals},
};

use crate::error::{CommandError, tell_note};

/// Exit code of a process that Ctrl-C ended, as shells report it.
const EXIT_INTERRUPTED: i32 = 130;

/// The interrupts of this process, heard until this is dropped.
#[must_use = "signals are heard only as long as it lives"]
pub(crate) struct Interrupts {
    heard: Arc<Mutex<Heard>>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    count: u32,
    /// What to do at each of them; `None` while nobody can do anything.
    act: Option<Box<dyn Fn(u32) + Send>>,
}

impl Interrupts {
    /// Hears all of them from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        Self::listen_to(&[SIGINT, SIGTERM, SIGHUP])
    }

    /// Hears those of a terminal: Ctrl-C, and that it is gone.
    pub(crate) fn of_terminal() -> io::Result<Self> {
        Self::listen_to(&[SIGINT, SIGHUP])
    }

    /// Hears the one that services are ended with.
    pub(crate) fn of_services() -> io::Result<Self> {
        Self::listen_to(&[SIGTERM])
    }

    fn listen_to(signals: &[c_int]) -> io::Result<Self> {
        let mut signals = Signals::new(signals)?;
        let handle = signals.handle();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let shared = Arc::clone(&heard);
        let wait = move || {
            for _ in signals.forever() {
                let mut heard = lock(&shared);
                heard.count += 1;
                if let Some(act) = &heard.act {
                    act(heard.count);
                }
            }
        };
        let thread = thread::Builder::new().name("signals".to_owned()).stack_size(64 * 1024).spawn(wait)?;
        Ok(Interrupts { heard, handle, thread: Some(thread) })
    }

    /// Calls `act` with the number of each interrupt, from 1 on, in place of who was called before; for those that have
    /// come already at once.
    pub(crate) fn tell(&self, act: impl Fn(u32) + Send + 'static) {
        let mut heard = lock(&self.heard);
        (1..=heard.count).for_each(&act);
        heard.act = Some(Box::new(act));
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u32 {
        lock(&self.heard).count
    }
}

/// From now on an interrupt ends this process, as it would anyway, after it was said what goes on without it.
pub(crate) fn leave_saying(note: String) -> Result<Interrupts, CommandError> {
    let interrupts =
        Interrupts::listen().map_err(|error| CommandError::failed(format!("cannot listen for Ctrl-C: {error}")))?;
    interrupts.tell(move |_| {
        tell_note(&note);
        leave();
    });
    Ok(interrupts)
}

/// Ends this process at once. Whoever watches it leaves nothing behind.
pub(crate) fn leave() {
    signal_hook::low_level::exit(EXIT_INTERRUPTED);
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_comes_later_hears_of_earlier_interrupts() {
        let interrupts = Interrupts::listen().expect("a thread");
        let (sender, first) = mpsc::channel();
        interrupts.tell(move |number| sender.send(number).expect("a receiver"));
        for number in 1..=2 {
            signal_hook::low_level::raise(SIGHUP).expect("a signal");
            assert_eq!(first.recv(), Ok(number));
        }
        let (sender, second) = mpsc::channel();
        interrupts.tell(move |number| sender.send(number).expect("a receiver"));
        assert_eq!((interrupts.count(), second.try_iter().collect::<Vec<_>>()), (2, vec![1, 2]));
        signal_hook::low_level::raise(SIGHUP).expect("a signal");
        assert_eq!((second.recv(), first.try_recv().is_err()), (Ok(3), true));
    }
}
