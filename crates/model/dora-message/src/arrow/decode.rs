//! From bytes to an array, without a copy where alignment allows.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, NullArray, PrimitiveArray, StringArray},
    buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer},
    datatypes::{self as types, ArrowPrimitiveType},
    error::ArrowError,
};

use super::{MAX_DEPTH, build, tag::TypeTag};
use crate::{
    parameter::{self, MetadataParameters, ParameterError},
    wire::{Reader, Truncated},
};

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The header ends too early.
    #[error("the header of the message is cut off")]
    Truncated(#[from] Truncated),
    /// The parameters are damaged.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// The payload has a length that no array with this tag has.
    #[error("a payload of {len} bytes is no {tag:?} array")]
    Length {
        /// The tag of the message.
        tag: TypeTag,
        /// Length of the payload in bytes.
        len: usize,
    },
    /// The payload has this tag, but its content is invalid.
    #[error("the payload is no {tag:?} array: {why}")]
    Content {
        /// The tag of the message.
        tag: TypeTag,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The description names a type that does not exist.
    #[error("the header describes {0}")]
    Type(&'static str),
    /// The description nests too deep.
    #[error("the header describes a type nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The description does not fit the payload.
    #[error("the header describes {described} bytes, the payload has {len}")]
    Payload {
        /// Bytes that the described buffers need; `usize::MAX` if that is beyond the address space.
        described: usize,
        /// Length of the payload in bytes.
        len: usize,
    },
    /// The description is longer than the array that it describes needs.
    #[error("the header of the message has {0} bytes too many")]
    Trailing(usize),
    /// The array is described consistently, but its content breaks Arrow's rules.
    #[error("the payload is not a valid Arrow array: {0}")]
    Arrow(#[from] ArrowError),
}

/// A received message.
#[derive(Debug)]
pub struct Decoded {
    /// The payload; its buffers point into the bytes that [`decode`] was given.
    pub array: ArrayRef,
    /// The parameters; an empty map costs nothing.
    pub parameters: MetadataParameters,
}

/// Makes an array of a message.
///
/// The array's buffers are slices of `payload` and keep it alive; only what is not there (the two offsets of a text) or
/// is misaligned is allocated. Any bytes give a result, never a panic; the module documentation says what is validated.
pub fn decode(tag: TypeTag, header: &[u8], payload: Buffer) -> Result<Decoded, DecodeError> {
    let (description, parameters) = split(tag, header)?;
    let array: ArrayRef = match tag {
        TypeTag::UInt8 => values::<types::UInt8Type>(tag, payload)?,
        TypeTag::UInt16 => values::<types::UInt16Type>(tag, payload)?,
        TypeTag::UInt32 => values::<types::UInt32Type>(tag, payload)?,
        TypeTag::UInt64 => values::<types::UInt64Type>(tag, payload)?,
        TypeTag::Int8 => values::<types::Int8Type>(tag, payload)?,
        TypeTag::Int16 => values::<types::Int16Type>(tag, payload)?,
        TypeTag::Int32 => values::<types::Int32Type>(tag, payload)?,
        TypeTag::Int64 => values::<types::Int64Type>(tag, payload)?,
        TypeTag::Float16 => values::<types::Float16Type>(tag, payload)?,
        TypeTag::Float32 => values::<types::Float32Type>(tag, payload)?,
        TypeTag::Float64 => values::<types::Float64Type>(tag, payload)?,
        TypeTag::Empty => empty(&payload)?,
        TypeTag::Bool => truth(&payload)?,
        TypeTag::Text => text(payload)?,
        TypeTag::Described => build::build(description, &payload)?,
    };
    Ok(Decoded { array, parameters: read_parameters(parameters)? })
}

/// The parameters of a message alone.
pub fn decode_parameters(tag: TypeTag, header: &[u8]) -> Result<MetadataParameters, DecodeError> {
    read_parameters(split(tag, header)?.1)
}

/// The description of the array and the parameters.
#[inline]
fn split(tag: TypeTag, header: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    if tag != TypeTag::Described {
        return Ok((&[], header));
    }
    let mut reader = Reader::new(header);
    let len = u32::from_le_bytes(reader.array()?);
    let description = reader.take(usize::try_from(len).map_err(|_| Truncated)?)?;
    Ok((description, reader.rest()))
}

#[inline]
fn read_parameters(bytes: &[u8]) -> Result<MetadataParameters, DecodeError> {
    Ok(if bytes.is_empty() { MetadataParameters::new() } else { parameter::decode(bytes)? })
}

/// Copies a payload that lies inside a descriptor to memory of its own, aligned for every tag but
/// [`TypeTag::Described`].
pub fn inline_buffer(bytes: &[u8]) -> Buffer {
    // words rather than Arrow's own 64-byte aligned memory: the allocator serves small, ordinary requests fastest
    let mut words = Vec::with_capacity(bytes.len().div_ceil(8));
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        words.push(u64::from_ne_bytes(word));
    }
    let buffer = Buffer::from_vec(words);
    if buffer.len() == bytes.len() { buffer } else { buffer.slice_with_length(0, bytes.len()) }
}

#[inline]
fn values<T: ArrowPrimitiveType>(tag: TypeTag, payload: Buffer) -> Result<ArrayRef, DecodeError> {
    let len = payload.len();
    if !len.is_multiple_of(size_of::<T::Native>()) {
        return Err(DecodeError::Length { tag, len });
    }
    let payload = build::aligned(payload, align_of::<T::Native>());
    Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(payload), None)?))
}

fn empty(payload: &Buffer) -> Result<ArrayRef, DecodeError> {
    match payload.len() {
        0 => Ok(Arc::new(NullArray::new(0))),
        len => Err(DecodeError::Length { tag: TypeTag::Empty, len }),
    }
}

fn truth(payload: &Buffer) -> Result<ArrayRef, DecodeError> {
    let tag = TypeTag::Bool;
    match payload.as_slice() {
        [0 | 1] => Ok(Arc::new(BooleanArray::new(BooleanBuffer::new(payload.clone(), 0, 1), None))),
        [_] => Err(DecodeError::Content { tag, why: "neither 0 nor 1" }),
        other => Err(DecodeError::Length { tag, len: other.len() }),
    }
}

fn text(payload: Buffer) -> Result<ArrayRef, DecodeError> {
    let tag = TypeTag::Text;
    let len = i32::try_from(payload.len()).map_err(|_| DecodeError::Length { tag, len: payload.len() })?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, len]));
    match StringArray::try_new(offsets, payload, None) {
        Ok(array) => Ok(Arc::new(array)),
        Err(_) => Err(DecodeError::Content { tag, why: "the text is not UTF-8" }),
    }
}
