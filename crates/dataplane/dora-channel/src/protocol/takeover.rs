//! What a consumer process had taken and not released when it ended, while another process goes on with its queue.
//!
//! The dead process cannot clear its bits, and the living one has the same bit. Entries tell them apart: what lies at or
//! behind the position where the keeper saw the dead one stop belongs to the living one, everything else to the dead.
//!
//! That needs those entries to be intact. Only the producer overwrites entries, so it looks at the state of the ring
//! after it saw how far the queue was read and before it writes: whoever read that far was started after the state was
//! set. Once the producer is dead nobody overwrites anything, and the keeper does the same.

use std::collections::HashSet;

use super::{CONSUMER_CRASHED, CONSUMER_REPLACED, Holders, RingHeader, Slot, Words};

/// Releases what dead processes of this consumer held, if there was one, and counts what is lost. True if anything was
/// released. For the producer; for the keeper once that is dead. `in_hand`: the chunk of a message that is being sent.
/// `chunk_of`: the chunk of an entry, if it has one.
pub fn settle(
    ring: &RingHeader,
    slots: &[Slot],
    holders: &[Holders],
    bit: usize,
    in_hand: Option<u32>,
    chunk_of: impl Fn(&Words) -> Option<u32>,
) -> bool {
    let before = ring.clear_state(CONSUMER_REPLACED | CONSUMER_CRASHED);
    if before & CONSUMER_REPLACED == 0 {
        return false;
    }
    let entries = ring.entries_from(slots, ring.replaced_at());
    let kept: HashSet<u32> = entries.filter_map(|words| chunk_of(&words)).chain(in_hand).collect();
    let abandoned = |(chunk, holders): &(usize, &Holders)| holders.is_held_by(bit) && !kept.contains(&(*chunk as u32));
    let mut released = 0;
    for (_, holders) in holders.iter().enumerate().filter(abandoned) {
        holders.release(bit);
        released += 1;
    }
    if before & CONSUMER_CRASHED != 0 {
        ring.count_lost(released);
    }
    released > 0
}
