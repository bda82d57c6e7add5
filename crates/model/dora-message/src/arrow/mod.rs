//! Arrow arrays as bytes in shared memory, and back without a copy.
//!
//! ```
//! use arrow::{array::{Array, UInt64Array}, buffer::Buffer};
//! use dora_message::arrow::{Layout, TypeTag, decode};
//!
//! let array = UInt64Array::from(vec![1, 2, 3]);
//! let layout = Layout::of(&array)?;
//! assert_eq!((layout.tag(), layout.payload_len(), layout.header_len()), (TypeTag::UInt64, 24, 0));
//!
//! let mut chunk = vec![0u8; layout.payload_len()]; // in the product: a chunk of shared memory
//! layout.write_payload(&mut chunk)?;
//! let received = decode(layout.tag(), layout.header(), Buffer::from(chunk))?;
//! assert_eq!(received.array.to_data(), array.to_data());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A message is a tag, a header and a payload:
//!
//! | part | content |
//! |---|---|
//! | [`TypeTag`], one byte | says how to read the payload, without any header, for what is sent most: primitive values, one text, one truth value, nothing |
//! | header | for [`TypeTag::Described`] the description of the array: its type, and length, nulls and buffer lengths of it and its children; then, for every tag, the parameters of the message ([`crate::parameter`]); often empty |
//! | payload | all buffers of the array, each at a multiple of [`PAYLOAD_ALIGNMENT`] from the start, gaps zeroed |
//!
//! The payload starts at a multiple of [`PAYLOAD_ALIGNMENT`]; where it does not (payloads inside a descriptor), the
//! decoder copies what Arrow needs aligned. Of a slice, only its range is sent, whatever its parent is.
//!
//! The description, written by `plan` and read by `build`: its length (u32), the type (`datatype`), then per array in
//! preorder its length, whether it has nulls, and the length of each buffer, all varints. Offsets are not written: the
//! buffers follow each other.
//!
//! # What is validated
//! A receiver must survive any bytes, so `decode` checks that each buffer lies in the payload and is as long as its
//! type and length demand; offsets, run ends, dictionary keys, union type ids and views one by one; and texts for
//! UTF-8. Values of fixed width are not looked at: any bits are a value. So the cost is independent of the payload for
//! primitive arrays without nulls, one pass over the validity bitmap for nulls (to count them), and one pass over
//! offsets and texts for the others. A sender that writes to a chunk after publishing it breaks the protocol of the
//! channel, which this module cannot notice.
//!
//! This module must not know where the bytes lie nor who holds them.

mod build;
mod datatype;
mod decode;
pub mod json;
mod layout;
mod narrow;
mod plan;
mod tag;
#[cfg(test)]
mod tests;

pub use decode::{DecodeError, Decoded, decode, decode_parameters, inline_buffer};
pub use layout::{EncodeError, Layout};
pub use tag::{FIRST_DEVICE_TAG, InvalidTag, TypeTag};

/// Every buffer of a payload starts at a multiple of this many bytes from the payload's start.
pub const PAYLOAD_ALIGNMENT: usize = 64;

/// How deep types may nest. More is refused on both sides: decoding is recursive.
pub const MAX_DEPTH: usize = 64;

/// Where the next buffer starts when the previous one ends at `end`. `None` if that is beyond the address space.
fn next_start(end: usize) -> Option<usize> {
    end.checked_next_multiple_of(PAYLOAD_ALIGNMENT)
}
