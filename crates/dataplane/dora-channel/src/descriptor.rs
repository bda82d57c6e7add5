//! The 64 bytes that travel through a ring for each message.

use crate::protocol::Words;

/// The most payload bytes that travel in the descriptor itself, without a chunk.
pub const INLINE_LEN: usize = 24;
/// The most header bytes a message can have (24 bits).
pub const MAX_HEADER_LEN: usize = (1 << 24) - 1;
const INLINE_CHUNK: u32 = u32::MAX;

/// Where the payload of a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the descriptor. Such a message has no header.
    Inline([u64; 3]),
    /// In a chunk of the producer's arena: payload at `offset`, header behind it at the next multiple of 8.
    Chunk {
        /// Number of the chunk, for its holders.
        chunk: u32,
        /// Offset of the payload in the arena.
        offset: u64,
    },
}

/// One message as the ring carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// What the payload is. The channel does not look at it.
    pub tag: u8,
    /// Where the payload is.
    pub place: Place,
    /// Payload length in bytes.
    pub len: u64,
    /// Header length in bytes, at most [`MAX_HEADER_LEN`].
    pub header_len: u32,
    /// Number of the message on its output, from 0.
    pub sequence: u64,
    /// When it was sent, in nanoseconds of the clock that sender and receiver share.
    pub stamp_ns: u64,
}

impl Descriptor {
    /// As the words of a slot.
    #[inline]
    pub fn to_words(self) -> Words {
        let (chunk, offset, inline) = match self.place {
            Place::Inline(words) => (INLINE_CHUNK, 0, words),
            Place::Chunk { chunk, offset } => (chunk, offset, [0; 3]),
        };
        let first = u64::from(chunk) | u64::from(self.header_len) << 32 | u64::from(self.tag) << 56;
        [first, offset, self.len, self.sequence, self.stamp_ns, inline[0], inline[1], inline[2]]
    }

    /// From the words of a slot. Any words give some descriptor; the consumer checks its bounds.
    #[inline]
    pub fn from_words(words: &Words) -> Self {
        let chunk = words[0] as u32;
        Descriptor {
            tag: (words[0] >> 56) as u8,
            place: if chunk == INLINE_CHUNK {
                Place::Inline([words[5], words[6], words[7]])
            } else {
                Place::Chunk { chunk, offset: words[1] }
            },
            len: words[2],
            header_len: (words[0] >> 32) as u32 & MAX_HEADER_LEN as u32,
            sequence: words[3],
            stamp_ns: words[4],
        }
    }

    /// Bytes that payload and header take together in a chunk; `None` if that overflows.
    pub fn span(&self) -> Option<u64> {
        header_offset(self.len)?.checked_add(u64::from(self.header_len))
    }
}

/// Offset of the header from the start of the payload.
pub(crate) fn header_offset(payload_len: u64) -> Option<u64> {
    payload_len.checked_next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        let inline = Descriptor {
            tag: 7,
            place: Place::Inline([1, 2, 3]),
            len: 24,
            header_len: 0,
            sequence: 5,
            stamp_ns: u64::MAX,
        };
        let chunk = Descriptor {
            tag: 255,
            place: Place::Chunk { chunk: 65_535, offset: 1 << 40 },
            len: 1 << 33,
            header_len: MAX_HEADER_LEN as u32,
            ..inline
        };
        for descriptor in [inline, chunk] {
            assert_eq!(Descriptor::from_words(&descriptor.to_words()), descriptor);
        }
    }

    #[test]
    fn absurd_lengths_do_not_overflow() {
        let mut descriptor = Descriptor::from_words(&[0, u64::MAX, u64::MAX, 0, 0, 0, 0, 0]);
        assert_eq!(descriptor.span(), None);
        descriptor.len = u64::MAX - 7;
        descriptor.header_len = 100;
        assert_eq!(descriptor.span(), None);
    }
}
