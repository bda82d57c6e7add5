//! [`protocol::takeover`](crate::protocol::takeover) for the rings and descriptors of the product.

use crate::{
    descriptor::{Descriptor, Place},
    layout::RingMemory,
    protocol::{Holders, Words, takeover},
};

/// The chunk of a message, if it has one.
pub(crate) fn chunk_of(words: &Words) -> Option<u32> {
    match Descriptor::from_words(words).place {
        Place::Chunk { chunk, .. } => Some(chunk),
        Place::Inline(_) => None,
    }
}

/// See [`takeover::settle`].
pub(crate) fn settle(ring: &RingMemory, holders: &[Holders], bit: usize, in_hand: Option<u32>) -> bool {
    takeover::settle(ring.header(), ring.slots(), holders, bit, in_hand, chunk_of)
}
