//! From a message of the channel to an Arrow array that points into it.
#![allow(unsafe_code)]

use std::{io, os::fd::OwnedFd, ptr::NonNull, sync::Arc};

use arrow::buffer::Buffer;
use dora_channel::{Message, chunk_layout, os::memory::read_memfd};
use dora_message::{
    arrow::{DecodeError, Decoded, InvalidTag, TypeTag, decode, decode_parameters, inline_buffer},
    keeper::LooseMessage,
    metadata::{GOAL_ID, REQUEST_ID},
};

use crate::fork::ProcessBound;

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    #[error(transparent)]
    Content(#[from] DecodeError),
    #[error(transparent)]
    Memory(#[from] io::Error),
}

/// The array and the parameters of a message. A payload in shared memory is not copied: the array keeps hold of it.
#[inline]
pub(super) fn read(message: Message) -> Result<Decoded, Unreadable> {
    let tag = TypeTag::try_from(message.tag())?;
    if message.is_inline() {
        return Ok(decode(tag, &[], inline_buffer(message.payload()))?);
    }
    let message = Arc::new(ProcessBound::new(message));
    Ok(decode(tag, message.header(), shared_buffer(&message))?)
}

/// Whether a message belongs to a service call or to an action: somebody waits for it.
pub(super) fn is_correlated(message: &Message) -> bool {
    let tag = TypeTag::try_from(message.tag()).ok();
    let parameters = tag.and_then(|tag| decode_parameters(tag, message.header()).ok()).unwrap_or_default();
    [REQUEST_ID, GOAL_ID].iter().any(|key| parameters.contains_key(*key))
}

/// The longest message that comes on no edge, in bytes.
const LONGEST_PUBLISHED: u64 = 1 << 30;

/// The same of a message that came on no edge: it is copied.
pub(super) fn read_published(memory: OwnedFd, message: &LooseMessage) -> Result<Decoded, Unreadable> {
    let tag = TypeTag::try_from(message.tag)?;
    let (len, header_at) =
        chunk_layout(message.len, message.header_len).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut bytes = read_memfd(memory, len as u64, LONGEST_PUBLISHED)?;
    let header = bytes.split_off(header_at.min(len));
    bytes.truncate(message.len);
    Ok(decode(tag, &header, Buffer::from(bytes))?)
}

fn shared_buffer(message: &Arc<ProcessBound<Message>>) -> Buffer {
    let payload = message.payload();
    if payload.is_empty() {
        return Buffer::default();
    }
    // SAFETY: the payload is a slice of `len` bytes inside a mapping that lives as long as the message, and nobody
    // writes it while the message is held. The buffer owns a reference to the message. In a forked child, where the
    // message is forgotten and not dropped, the mapping stays.
    unsafe { Buffer::from_custom_allocation(NonNull::from(payload).cast(), payload.len(), message.clone()) }
}
