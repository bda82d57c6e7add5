//! How a waiter sleeps and a waker wakes it: one word, no lock, nothing lost.
//!
//! The waiter publishes (sleep number, waiting), fences, looks at every condition once more, then sleeps while the word
//! is unchanged. The waker makes its condition true, fences, and looks at the word. Either the waiter sees the condition
//! or the waker sees the announcement (Dekker's argument over two full fences). All ordering comes from these fences; the
//! word itself is relaxed everywhere.
//!
//! A waker makes at most one system call per sleep: it remembers the number of the sleep it woke last. No waker relies
//! on another: one that dies or is stopped between its CAS and its system call strands nobody, because a second waker of
//! the same sleep wakes too.

use std::sync::atomic::Ordering::Relaxed;

use super::{AtomicU32, order::Site};

const STATE: u32 = 0b11;
const AWAKE: u32 = 0;
const ANNOUNCED: u32 = 1;
const WAKING: u32 = 2;
const ON_EVENTFD: u32 = 0b100;
const FLAGS: u32 = 0b111;
const ONE_SLEEP: u32 = 0b1000;

/// What the sleeper of this sleep waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SleepOn {
    /// The word itself.
    Futex,
    /// The eventfd that was handed out with the bell.
    EventFd,
}

/// An announced sleep. The sleeper waits while the word of the bell equals [`Sleep::word`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sleep {
    /// Value of the word at the announcement.
    pub word: u32,
}

/// One word: sleep number (29 bits), what the sleeper waits on (1 bit), state (2 bits).
#[derive(Debug)]
#[repr(C)]
pub struct Bell {
    word: AtomicU32,
}

impl Default for Bell {
    fn default() -> Self {
        Bell { word: AtomicU32::new(AWAKE) }
    }
}

impl Bell {
    /// Waiter: announces a sleep. After this it must look at every condition again before it sleeps.
    #[must_use]
    pub fn prepare(&self, on: SleepOn) -> Sleep {
        let kind = if on == SleepOn::EventFd { ON_EVENTFD } else { 0 };
        // Only the waiter changes the sleep number, so this load cannot miss one.
        let word = (self.word.load(Relaxed) & !FLAGS).wrapping_add(ONE_SLEEP) | kind | ANNOUNCED;
        // A swap and not a store: it keeps all changes of the word in one chain of read-modify-writes.
        self.word.swap(word, Relaxed);
        Site::BellSleepFence.fence();
        Sleep { word }
    }

    /// Waiter: it is awake (woken, timed out, or it found a condition true).
    pub fn cancel(&self) {
        self.word.fetch_and(!STATE, Relaxed);
    }

    /// Waker, after making its condition true. `Some`: the caller must make the system call for that kind of sleep.
    /// `last` is this waker's memory of the sleep it woke last; start it at 0.
    #[must_use]
    #[inline]
    pub fn notify(&self, last: &mut u32) -> Option<SleepOn> {
        Site::BellWakeFence.fence();
        let mut word = self.word.load(Relaxed);
        if word & STATE == ANNOUNCED {
            let waking = word + (WAKING - ANNOUNCED);
            match self.word.compare_exchange(word, waking, Relaxed, Relaxed) {
                Ok(_) => word = waking,
                // Another waker was first, and may be slow or dead: wake too.
                Err(now) if now == waking => word = now,
                // The waiter woke up. Before it sleeps again it looks at the conditions and finds ours.
                Err(_) => return None,
            }
        }
        if word & STATE == AWAKE || word == *last {
            return None;
        }
        *last = word;
        Some(if word & ON_EVENTFD != 0 { SleepOn::EventFd } else { SleepOn::Futex })
    }

    /// Whether a sleeper has announced itself and nobody owes it a wake-up. A hint, not a synchronisation.
    #[inline]
    pub fn is_announced(&self) -> bool {
        self.word.load(Relaxed) & STATE == ANNOUNCED
    }

    /// For who sleeps in place of the waiter: the word now.
    pub fn observe(&self) -> u32 {
        self.word.load(Relaxed)
    }

    /// Whether an observed word says that an announced sleep is over: a waker has found it.
    pub fn says_woken(word: u32) -> bool {
        word & STATE == WAKING
    }

    /// The word to sleep on.
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }
}
