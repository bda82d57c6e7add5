//! Tells loom which accesses to a slot must be ordered. In the product it is nothing.
//!
//! Slots are made of atomics because a consumer may copy a slot while the producer, which evicted that entry, writes the
//! next one there: the copy is thrown away. But a copy that the consumer *keeps* must be over before the slot is written
//! again, and with relaxed words only the orderings of `head` see to that. Loom runs the steps of each thread in order,
//! so it never shows a load that is delayed beyond a later CAS; it does report two accesses to a cell that nothing
//! orders. So each slot has a cell: read with each copy, written with each push that follows a pop, and left alone by a
//! push that follows an eviction.

#[cfg(not(loom))]
#[derive(Debug, Default)]
pub(super) struct Watch;

#[cfg(not(loom))]
impl Watch {
    #[inline(always)]
    pub(super) fn reads(&self) {}
    #[inline(always)]
    pub(super) fn writes(&self) {}
    #[inline(always)]
    pub(super) fn evicted(&self) {}
}

#[cfg(loom)]
#[derive(Debug, Default)]
pub(super) struct Watch {
    cell: loom::cell::UnsafeCell<()>,
    /// The producer took the last entry of this slot back. Only it looks, so loom need not know.
    evicted: std::sync::atomic::AtomicBool,
}

#[cfg(loom)]
impl Watch {
    pub(super) fn reads(&self) {
        self.cell.with(|_| ());
    }
    pub(super) fn writes(&self) {
        if !self.evicted.swap(false, std::sync::atomic::Ordering::Relaxed) {
            self.cell.with_mut(|_| ());
        }
    }
    pub(super) fn evicted(&self) {
        self.evicted.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
