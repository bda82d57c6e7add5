//! Every memory ordering that the protocol rests on, by name, so that each can be weakened alone.
//!
//! In the product [`Site::ordering`] is a constant. Under loom one site may be switched to its weaker form by
//! `mutate`; some model must then fail (`tests/loom/mutations.rs` goes through all of them). Accesses outside of this
//! list are `Relaxed`: they are guesses that a CAS confirms, counters, or ordered by one of these sites.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

/// One place of the protocol whose ordering matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// Producer stores `tail`: the slot and the payload are written.
    TailPublish,
    /// Consumer loads `tail`: it may read slot and payload.
    TailSeen,
    /// Consumer moves `head`: its read of the slot is over.
    HeadPop,
    /// Producer loads `head`: it may write the slots before it.
    FullSeesPop,
    /// Producer moves `head` (evict): who sees the new `head` also sees that `tail` is beyond it.
    HeadEvict,
    /// Consumer loads `head`: the `tail` it loads next is not older.
    PopSeesEvict,
    /// A state bit is set: the last push (`CLOSED`), the last pop (`CONSUMER_LEFT`) or the last read of a payload
    /// (`CONSUMER_DEAD`) is over.
    StateSet,
    /// A state bit is seen.
    StateSeen,
    /// A consumer clears its bit: its reads of the payload are over.
    HolderRelease,
    /// The producer sees no bit: it may write the chunk.
    HolderFree,
    /// Fence between announcing a sleep and looking at the conditions once more.
    BellSleepFence,
    /// Fence between making a condition true and looking for a sleeper.
    BellWakeFence,
    /// Fence between a pop and looking for a sender that waits for room.
    RoomFence,
}

impl Site {
    /// All sites, for the mutation run.
    pub const ALL: [Site; 13] = [
        Site::TailPublish,
        Site::TailSeen,
        Site::HeadPop,
        Site::FullSeesPop,
        Site::HeadEvict,
        Site::PopSeesEvict,
        Site::StateSet,
        Site::StateSeen,
        Site::HolderRelease,
        Site::HolderFree,
        Site::BellSleepFence,
        Site::BellWakeFence,
        Site::RoomFence,
    ];

    const fn strong(self) -> Ordering {
        match self {
            Site::TailPublish | Site::HeadPop | Site::HeadEvict | Site::StateSet | Site::HolderRelease => Release,
            Site::TailSeen | Site::FullSeesPop | Site::PopSeesEvict | Site::StateSeen | Site::HolderFree => Acquire,
            Site::BellSleepFence | Site::BellWakeFence | Site::RoomFence => Ordering::SeqCst,
        }
    }

    /// The ordering of the access at this site.
    #[inline(always)]
    pub(super) fn ordering(self) -> Ordering {
        if is_mutated(self) { Relaxed } else { self.strong() }
    }

    /// The fence at this site.
    #[inline(always)]
    pub(super) fn fence(self) {
        if !is_mutated(self) {
            super::fence(self.strong());
        }
    }
}

#[cfg(loom)]
thread_local! {
    // All threads of a model run on the thread that checks it, so models that run side by side do not meet.
    static MUTATED: std::cell::Cell<Option<Site>> = const { std::cell::Cell::new(None) };
}

/// Weakens one site (or none) for the models that this thread checks from now on.
#[cfg(loom)]
pub fn mutate(site: Option<Site>) {
    MUTATED.set(site);
}

#[cfg(loom)]
fn is_mutated(site: Site) -> bool {
    MUTATED.get() == Some(site)
}

#[cfg(not(loom))]
#[inline(always)]
const fn is_mutated(_: Site) -> bool {
    false
}
