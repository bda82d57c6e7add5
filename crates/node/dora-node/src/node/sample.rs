//! Memory that is filled before it is sent, in shared memory where there is any to be had.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use aligned_vec::{AVec, ConstAlign};
use arrow_schema::DataType;
use dora_arrow_convert::DoraArray;
use dora_channel::{Arena, Chunk, INLINE_LEN, chunk_layout};
use dora_message::arrow::{EncodeError, Layout, TypeTag};

use crate::{
    error::{NodeError, NodeResult},
    fork::{self, ProcessBound},
};

/// Room behind the payload for parameters, in bytes. Longer ones cost a copy of the sample when it is sent.
const PARAMETER_ROOM: usize = 256;

/// Memory for one message, to be filled and then sent with
/// [`send_output_sample`](crate::DoraNode::send_output_sample).
///
/// It starts at a multiple of 128 bytes. In shared memory its content is at first whatever an earlier message left
/// there, so fill it completely.
pub struct DataSample {
    pub(super) storage: Storage,
    pub(super) len: usize,
}

/// Where a sample lies.
pub(super) enum Storage {
    /// A chunk of the node's arena: `send_output_sample` does not copy it.
    Shared(ProcessBound<Chunk>),
    /// Memory of the process: copied when sent.
    Heap(AVec<u8, ConstAlign<128>>),
}

impl DataSample {
    fn heap(len: usize) -> NodeResult<Self> {
        let mut bytes = AVec::new(0);
        bytes.try_reserve_exact(len).map_err(|_| NodeError::TooLarge { len })?;
        bytes.resize(len, 0);
        Ok(DataSample { storage: Storage::Heap(bytes), len })
    }

    /// Whether it lies in shared memory, so that sending does not copy it.
    pub fn is_shared(&self) -> bool {
        matches!(self.storage, Storage::Shared(_))
    }
}

impl Deref for DataSample {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.storage {
            Storage::Shared(chunk) => &chunk[..self.len],
            Storage::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for DataSample {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.storage {
            Storage::Shared(chunk) => &mut chunk[..self.len],
            Storage::Heap(bytes) => bytes,
        }
    }
}

impl From<AVec<u8, ConstAlign<128>>> for DataSample {
    fn from(bytes: AVec<u8, ConstAlign<128>>) -> Self {
        DataSample { len: bytes.len(), storage: Storage::Heap(bytes) }
    }
}

impl fmt::Debug for DataSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataSample").field("len", &self.len).field("shared", &self.is_shared()).finish()
    }
}

/// Makes samples without borrowing the node, in any thread.
#[derive(Clone)]
pub struct SampleAllocator {
    arena: Option<Arc<Arena>>,
}

impl SampleAllocator {
    pub(super) fn of(arena: &Arc<Arena>) -> Self {
        SampleAllocator { arena: Some(arena.clone()) }
    }

    /// An allocator without shared memory: every sample lies on the heap and is copied when it is sent.
    pub fn heap() -> Self {
        SampleAllocator { arena: None }
    }

    /// A sample of `data_len` bytes, on the heap if shared memory is short. Never waits.
    ///
    /// # Errors
    /// [`NodeError::TooLarge`] if there is no memory of that size at all.
    pub fn allocate(&self, data_len: usize) -> NodeResult<DataSample> {
        self.allocate_with_header(data_len, 0)
    }

    fn allocate_with_header(&self, data_len: usize, description_len: usize) -> NodeResult<DataSample> {
        fork::check()?;
        let room = chunk_layout(data_len, description_len + PARAMETER_ROOM);
        let (room, _) = room.ok_or(NodeError::TooLarge { len: data_len })?;
        // What travels in the descriptor of the message needs no shared memory.
        let arena = self.arena.as_ref().filter(|_| data_len + description_len > INLINE_LEN);
        match arena.map(|arena| arena.allocate(room)) {
            Some(Ok(chunk)) => Ok(DataSample { storage: Storage::Shared(ProcessBound::new(chunk)), len: data_len }),
            _ => DataSample::heap(data_len),
        }
    }

    /// Copies an array into a sample, so that it can be dropped here and sent elsewhere with
    /// [`send_output_encoded`](crate::DoraNode::send_output_encoded).
    ///
    /// # Errors
    /// [`NodeError::EncodeSample`] if the array cannot be sent.
    pub fn encode_arrow(&self, array: &DoraArray) -> NodeResult<EncodedSample> {
        let layout = Layout::of(&*array.0)?;
        let mut sample = self.allocate_with_header(layout.payload_len(), layout.header_len())?;
        layout.write_payload(&mut sample)?;
        Ok(EncodedSample {
            sample,
            tag: layout.tag(),
            description: layout.header().to_vec(),
            data_type: array.0.data_type().clone(),
        })
    }
}

impl fmt::Debug for SampleAllocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleAllocator").field("shared", &self.arena.is_some()).finish()
    }
}

/// An array that is ready to be sent.
#[derive(Debug)]
pub struct EncodedSample {
    pub(super) sample: DataSample,
    pub(super) tag: TypeTag,
    pub(super) description: Vec<u8>,
    data_type: DataType,
}

impl EncodedSample {
    /// The Arrow type of the array, for people: `UInt8`.
    pub fn type_name(&self) -> String {
        self.data_type.to_string()
    }

    /// The Arrow type of the array.
    #[cfg(feature = "arrow-v59")]
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// The payload: the buffers of the array, each at a multiple of 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.sample
    }

    /// The array again, for a node that does not send it to channels.
    pub(super) fn decode(&self) -> Result<arrow::array::ArrayRef, dora_message::arrow::DecodeError> {
        let payload = arrow::buffer::Buffer::from(self.as_bytes());
        dora_message::arrow::decode(self.tag, &self.description, payload).map(|decoded| decoded.array)
    }
}

/// Kept apart from [`EncodeSample`](NodeError::EncodeSample), which has no output to name.
pub(super) fn encode_error(output: &dora_message::id::DataId) -> impl Fn(EncodeError) -> NodeError {
    move |source| NodeError::Encode { output: output.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dora_arrow_convert::IntoArrow;

    #[test]
    fn heap_samples_are_aligned_and_encode_what_they_are_given() {
        let sample = SampleAllocator::heap().allocate(1000).unwrap();
        assert_eq!((sample.len(), sample.is_shared(), sample.as_ptr().align_offset(128)), (1000, false, 0));
        let array = vec!["a".to_owned(), "bc".to_owned()].into_arrow();
        let encoded = SampleAllocator::heap().encode_arrow(&array).unwrap();
        assert_eq!(encoded.type_name(), "Utf8");
        assert_eq!(encoded.decode().unwrap().to_data(), array.0.to_data());
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert!(matches!(SampleAllocator::heap().allocate(usize::MAX), Err(NodeError::TooLarge { .. })));
    }
}
