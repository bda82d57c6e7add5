//! Rebuilds a described array from its description and payload: the counterpart of `plan`.
//!
//! The type was checked when it was read; here each array is put together from slices of the payload and then
//! validated by Arrow (`ArrayData::try_new`). The few inputs on which Arrow's validation itself panics, or allocates
//! without bound, are refused before.

use arrow::{
    array::{ArrayData, ArrayRef, make_array},
    buffer::{Buffer, MutableBuffer},
    datatypes::{DataType, FieldRef, UnionMode},
};

use super::{MAX_DEPTH, datatype, decode::DecodeError, next_start};
use crate::wire::{Reader, Truncated};

/// The array that `description` finds in `payload`.
pub(super) fn build(description: &[u8], payload: &Buffer) -> Result<ArrayRef, DecodeError> {
    let mut description = Reader::new(description);
    let data_type = datatype::read(&mut description, MAX_DEPTH)?;
    let mut builder = Builder { description, payload, end: 0 };
    let data = builder.array(&data_type)?;
    match builder.description.remaining() {
        0 => Ok(make_array(data)),
        trailing => Err(DecodeError::Trailing(trailing)),
    }
}

/// The buffer itself, or a copy if it does not start at a multiple of `alignment`.
#[inline]
pub(super) fn aligned(buffer: Buffer, alignment: usize) -> Buffer {
    if buffer.as_ptr().align_offset(alignment) == 0 {
        return buffer;
    }
    let mut copy = MutableBuffer::with_capacity(buffer.len()); // 64-byte aligned
    copy.extend_from_slice(&buffer);
    copy.into()
}

/// Values whose nulls are expanded no matter how short the payload is: 128 KiB of bits.
const MAX_EXPANSION: usize = 1 << 20;

struct Builder<'a> {
    description: Reader<'a>,
    payload: &'a Buffer,
    /// Where the last buffer ended in the payload.
    end: usize,
}

impl Builder<'_> {
    /// The next buffer of the payload, of whole elements of `width` bytes.
    fn buffer(&mut self, width: usize) -> Result<Buffer, DecodeError> {
        let len = self.description.size()?;
        if !len.is_multiple_of(width) {
            return Err(DecodeError::Type("a buffer that ends in the middle of an element"));
        }
        if len == 0 {
            return Ok(MutableBuffer::new(0).into());
        }
        let beyond = |described| DecodeError::Payload { described, len: self.payload.len() };
        let start = next_start(self.end).ok_or_else(|| beyond(usize::MAX))?;
        let end = start.checked_add(len).ok_or_else(|| beyond(usize::MAX))?;
        if end > self.payload.len() {
            return Err(beyond(end));
        }
        self.end = end;
        // no element needs to be aligned to more than 16
        Ok(aligned(self.payload.slice_with_length(start, len), width.min(16)))
    }

    // Depth is bounded by the type, which was read with a limit.
    fn array(&mut self, data_type: &DataType) -> Result<ArrayData, DecodeError> {
        let len = self.description.size()?;
        let nulls = match self.description.u8()? {
            0 => None,
            _ => Some(self.buffer(1)?),
        };
        let buffers = self.buffers(data_type)?;
        let children = self.children(data_type)?;
        if let DataType::FixedSizeList(item, size) = data_type {
            self.check_fixed_size_list(len, *size, nulls.is_some() && !item.is_nullable(), &children)?;
        }
        Ok(ArrayData::try_new(data_type.clone(), len, nulls, 0, buffers, children)?)
    }

    fn buffers(&mut self, data_type: &DataType) -> Result<Vec<Buffer>, DecodeError> {
        use DataType as D;
        Ok(match data_type {
            D::Null | D::FixedSizeList(..) | D::Struct(_) | D::RunEndEncoded(..) => vec![],
            D::Boolean | D::FixedSizeBinary(_) => vec![self.buffer(1)?],
            D::Utf8 | D::Binary => vec![self.buffer(size_of::<i32>())?, self.buffer(1)?],
            D::LargeUtf8 | D::LargeBinary => vec![self.buffer(size_of::<i64>())?, self.buffer(1)?],
            D::Utf8View | D::BinaryView => {
                let count = self.description.size()?;
                // each has a length of at least a byte in the description
                if count > self.description.remaining() {
                    return Err(Truncated.into());
                }
                let views = self.buffer(size_of::<u128>())?;
                let data = (0..count).map(|_| self.buffer(1));
                [Ok(views)].into_iter().chain(data).collect::<Result<_, _>>()?
            }
            D::List(_) | D::Map(..) => vec![self.buffer(size_of::<i32>())?],
            D::LargeList(_) => vec![self.buffer(size_of::<i64>())?],
            D::ListView(_) => vec![self.buffer(size_of::<i32>())?, self.buffer(size_of::<i32>())?],
            D::LargeListView(_) => vec![self.buffer(size_of::<i64>())?, self.buffer(size_of::<i64>())?],
            D::Union(_, UnionMode::Sparse) => vec![self.buffer(1)?],
            D::Union(_, UnionMode::Dense) => vec![self.buffer(1)?, self.buffer(size_of::<i32>())?],
            D::Dictionary(key, _) => vec![self.fixed(key)?],
            primitive => vec![self.fixed(primitive)?],
        })
    }

    /// The values of a primitive type.
    fn fixed(&mut self, primitive: &DataType) -> Result<Buffer, DecodeError> {
        self.buffer(primitive.primitive_width().unwrap_or(1))
    }

    fn children(&mut self, data_type: &DataType) -> Result<Vec<ArrayData>, DecodeError> {
        use DataType as D;
        match data_type {
            D::List(item)
            | D::LargeList(item)
            | D::ListView(item)
            | D::LargeListView(item)
            | D::FixedSizeList(item, _)
            | D::Map(item, _) => Ok(vec![self.array(item.data_type())?]),
            D::Struct(fields) => self.fields(fields),
            D::Union(fields, _) => fields.iter().map(|(_, field)| self.array(field.data_type())).collect(),
            D::Dictionary(_, value) => Ok(vec![self.array(value)?]),
            D::RunEndEncoded(ends, values) => self.fields([ends, values]),
            _ => Ok(vec![]),
        }
    }

    fn fields<'f>(&mut self, fields: impl IntoIterator<Item = &'f FieldRef>) -> Result<Vec<ArrayData>, DecodeError> {
        fields.into_iter().map(|field| self.array(field.data_type())).collect()
    }

    /// Refuses what Arrow's own validation does not survive: sizes whose product overflows, and nulls to be expanded to
    /// one bit per value where a run of values makes a few bytes stand for any number of them.
    fn check_fixed_size_list(
        &self,
        len: usize,
        size: i32,
        expands_nulls: bool,
        children: &[ArrayData],
    ) -> Result<(), DecodeError> {
        let values = usize::try_from(size).ok().and_then(|size| size.checked_mul(len));
        if values != children.first().map(ArrayData::len) {
            return Err(DecodeError::Type("a fixed-size list whose values have another length"));
        }
        if expands_nulls && values > Some(MAX_EXPANSION.max(self.payload.len().saturating_mul(8))) {
            return Err(DecodeError::Type("a fixed-size list with nulls of more values than the payload can hold"));
        }
        Ok(())
    }
}
