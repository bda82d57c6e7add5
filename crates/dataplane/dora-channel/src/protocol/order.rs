//! Every memory ordering of the protocol, by name, so that each can be weakened alone.
//!
//! In the product each function is a constant. Under loom one of them may be switched to its weaker form by
//! [`mutate`]; the models must then fail (`tests/loom.rs` goes through all of them). A site that no model can catch
//! says why.

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};

/// One place of the protocol whose ordering matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Site {
    /// Producer stores `tail`: the slot and the payload are written.
    TailPublish = 1,
    /// Consumer loads `tail`: it may read slot and payload.
    TailSeen,
    /// Consumer moves `head`: its read of the slot is over.
    HeadPop,
    /// Producer moves `head` (evict): it took the entry, and sees the consumer's moves.
    HeadEvict,
    /// `CLOSED` is set after the last push.
    ClosedSet,
    /// `CLOSED` is seen: `tail` is final.
    ClosedSeen,
    /// A consumer clears its bit: its reads of the payload are over.
    HolderRelease,
    /// The producer sees no bit: it may write the chunk.
    HolderFree,
    /// Fence between announcing a sleep and looking at the conditions once more.
    BellSleepFence,
    /// Fence between making a condition true and looking for a sleeper.
    BellWakeFence,
}

impl Site {
    /// All sites, for the mutation run.
    pub const ALL: [Site; 10] = [
        Site::TailPublish,
        Site::TailSeen,
        Site::HeadPop,
        Site::HeadEvict,
        Site::ClosedSet,
        Site::ClosedSeen,
        Site::HolderRelease,
        Site::HolderFree,
        Site::BellSleepFence,
        Site::BellWakeFence,
    ];
}

#[cfg(loom)]
static MUTATED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Weakens one site (or none) for the models that follow.
#[cfg(loom)]
pub fn mutate(site: Option<Site>) {
    MUTATED.store(site.map_or(0, |s| s as u32), Ordering::SeqCst);
}

#[cfg(loom)]
fn is_mutated(site: Site) -> bool {
    MUTATED.load(Ordering::SeqCst) == site as u32
}

#[cfg(not(loom))]
#[inline(always)]
const fn is_mutated(_: Site) -> bool {
    false
}

#[inline(always)]
fn at(site: Site, strong: Ordering) -> Ordering {
    if is_mutated(site) { Relaxed } else { strong }
}

#[inline(always)]
pub(super) fn tail_publish() -> Ordering {
    at(Site::TailPublish, Release)
}
#[inline(always)]
pub(super) fn tail_seen() -> Ordering {
    at(Site::TailSeen, Acquire)
}
#[inline(always)]
pub(super) fn head_pop() -> Ordering {
    at(Site::HeadPop, AcqRel)
}
#[inline(always)]
pub(super) fn head_evict() -> Ordering {
    at(Site::HeadEvict, AcqRel)
}
#[inline(always)]
pub(super) fn closed_set() -> Ordering {
    at(Site::ClosedSet, Release)
}
#[inline(always)]
pub(super) fn closed_seen() -> Ordering {
    at(Site::ClosedSeen, Acquire)
}
#[inline(always)]
pub(super) fn holder_release() -> Ordering {
    at(Site::HolderRelease, Release)
}
#[inline(always)]
pub(super) fn holder_free() -> Ordering {
    at(Site::HolderFree, Acquire)
}
/// A full fence, unless this site is the mutated one.
#[inline(always)]
pub(super) fn bell_fence(site: Site) {
    if !is_mutated(site) {
        super::fence(Ordering::SeqCst);
    }
}
