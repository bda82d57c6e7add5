//! Arrays as Arrow IPC streams, for nodes that store or forward them.
//!
//! A stream of one record batch with one column named `data`: any Arrow implementation reads it. Messages between nodes
//! do not take this way.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    buffer::Buffer,
    datatypes::{Field, Schema},
};
use arrow_ipc::{reader::StreamDecoder, writer::StreamWriter};
use eyre::{Context, Result, bail, eyre};

use crate::DoraArray;

const COLUMN: &str = "data";

/// The array as an Arrow IPC stream.
///
/// ```
/// use dora_arrow_convert::{IntoArrow, arrow_utils::{decode_arrow_ipc, encode_arrow_ipc}};
/// let array = vec![1u8, 2, 3].into_arrow();
/// assert_eq!(decode_arrow_ipc(&encode_arrow_ipc(&array)?)?, array);
/// # Ok::<(), eyre::Report>(())
/// ```
pub fn encode_arrow_ipc(array: &DoraArray) -> Result<Vec<u8>> {
    let field = Field::new(COLUMN, array.0.data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(schema.clone(), vec![array.0.clone()]).wrap_err("cannot make a record batch")?;
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new(&mut stream, &schema).wrap_err("cannot encode the type")?;
    writer.write(&batch).wrap_err("cannot encode the array")?;
    writer.finish().wrap_err("cannot end the stream")?;
    drop(writer);
    Ok(stream)
}

/// The array in an Arrow IPC stream. The bytes are copied once.
///
/// # Errors
/// If this is not an Arrow IPC stream of one batch with one column.
pub fn decode_arrow_ipc(stream: &[u8]) -> Result<DoraArray> {
    decode_arrow_ipc_zero_copy(IpcPayload::from_slice(stream))
}

/// The array in an Arrow IPC stream, pointing into the payload where its alignment allows.
///
/// # Errors
/// As [`decode_arrow_ipc`].
pub fn decode_arrow_ipc_zero_copy(payload: IpcPayload) -> Result<DoraArray> {
    // arrow-ipc checks the flatbuffers of a stream, but panics on types that are well-formed and do not exist, such as
    // integers of 7 bits. The decoder is dropped either way, so no broken state survives.
    let decode = || only_column(payload.0);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode))
        .unwrap_or_else(|_| bail!("not a valid Arrow IPC stream: its schema holds an unknown type"))
}

fn only_column(mut stream: Buffer) -> Result<DoraArray> {
    let mut decoder = StreamDecoder::new();
    let mut found = None;
    while let Some(batch) = decoder.decode(&mut stream).wrap_err("not a valid Arrow IPC stream")? {
        if batch.num_columns() != 1 || found.replace(batch.column(0).clone()).is_some() {
            bail!("expected an Arrow IPC stream of one record batch with one column");
        }
    }
    found.map(DoraArray).ok_or_else(|| eyre!("the Arrow IPC stream holds no record batch"))
}

/// Bytes of an Arrow IPC stream that can be decoded without a copy.
#[derive(Debug, Clone)]
pub struct IpcPayload(Buffer);

impl IpcPayload {
    /// Takes over an aligned vector.
    pub fn from_aligned_vec(bytes: aligned_vec::AVec<u8, aligned_vec::ConstAlign<128>>) -> Self {
        IpcPayload(Buffer::from(bytes::Bytes::from_owner(bytes)))
    }
    /// Takes over a vector. Buffers in it that are not aligned are copied when decoded.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        IpcPayload(Buffer::from_vec(bytes))
    }
    /// Copies the bytes to aligned memory.
    pub fn from_slice(bytes: &[u8]) -> Self {
        IpcPayload(Buffer::from(bytes))
    }
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IntoArrow;

    #[test]
    fn streams_decode_without_a_copy() -> Result<()> {
        let array = vec![1.5f64; 4096].into_arrow();
        let payload = IpcPayload::from_slice(&encode_arrow_ipc(&array)?);
        let range = payload.as_slice().as_ptr_range();
        let decoded = decode_arrow_ipc_zero_copy(payload.clone())?;
        assert_eq!(decoded, array);
        let values: &[f64] = (&decoded).try_into()?;
        assert!(range.contains(&values.as_ptr().cast()), "the values lie in the payload");
        Ok(())
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(decode_arrow_ipc(b"no stream").is_err());
        assert!(decode_arrow_ipc(b"").is_err());
    }

    #[test]
    fn a_damaged_stream_is_an_error_and_no_panic() -> Result<()> {
        let stream = encode_arrow_ipc(&vec![1u16, 2].into_arrow())?;
        for at in 0..stream.len() {
            for flip in [1, 0x10, 0x80] {
                let mut damaged = stream.clone();
                damaged[at] ^= flip;
                // what matters is to get here: damage of values or names decodes all the same
                let _ = decode_arrow_ipc(&damaged);
            }
        }
        assert!(decode_arrow_ipc(&stream[..stream.len() / 2]).is_err());
        Ok(())
    }

    #[test]
    fn an_aligned_vector_is_taken_over() -> Result<()> {
        let stream = encode_arrow_ipc(&vec![7u64; 100].into_arrow())?;
        let payload = IpcPayload::from_aligned_vec(aligned_vec::AVec::from_slice(128, &stream));
        assert_eq!(payload.as_slice(), stream);
        assert_eq!(Vec::<u64>::try_from(&decode_arrow_ipc_zero_copy(payload)?)?, vec![7; 100]);
        Ok(())
    }
}
