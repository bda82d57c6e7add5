//! The description of an array and the list of its buffers: what [`super::Layout`] does when no tag fits.
//!
//! Reads arrays through their typed structs, whose accessors already account for slicing, except where a slice keeps
//! its parent's values; those are cut by [`super::narrow`].

use arrow::{
    array::{Array, AsArray, GenericByteArray, GenericByteViewArray, GenericListArray, OffsetSizeTrait},
    buffer::{BooleanBuffer, Buffer, OffsetBuffer},
    datatypes::{
        ArrowNativeType, BinaryType, BinaryViewType, ByteArrayType, ByteViewType, DataType, Int16Type, Int32Type,
        Int64Type, LargeBinaryType, LargeUtf8Type, StringViewType, Utf8Type,
    },
};

use super::{MAX_DEPTH, datatype, layout::EncodeError, narrow, next_start};
use crate::wire::Put;

/// Length of the length that precedes the description.
pub(super) const LENGTH_PREFIX: usize = 4;

/// The description of an array and where each of its buffers goes.
#[derive(Debug)]
pub(super) struct Plan {
    description: Vec<u8>,
    pieces: Vec<Piece>,
    end: usize,
}

#[derive(Debug)]
struct Piece {
    start: usize,
    bytes: Buffer,
}

/// Plans an array of any type.
pub(super) fn plan(array: &dyn Array) -> Result<Plan, EncodeError> {
    let mut plan = Plan { description: vec![0; LENGTH_PREFIX], pieces: Vec::new(), end: 0 };
    datatype::put(array.data_type(), MAX_DEPTH, &mut plan.description)?;
    plan.array(array)?;
    let len = u32::try_from(plan.description.len() - LENGTH_PREFIX).map_err(|_| EncodeError::TooLarge)?;
    plan.description[..LENGTH_PREFIX].copy_from_slice(&len.to_le_bytes());
    Ok(plan)
}

impl Plan {
    pub(super) const fn payload_len(&self) -> usize {
        self.end
    }

    pub(super) fn description(&self) -> &[u8] {
        &self.description
    }

    /// Copies each buffer to its place. `memory` is as long as the payload.
    pub(super) fn write(&self, memory: &mut [u8]) {
        let mut written = 0;
        for Piece { start, bytes } in &self.pieces {
            let end = start + bytes.len();
            memory[written..*start].fill(0);
            memory[*start..end].copy_from_slice(bytes);
            written = end;
        }
    }

    fn buffer(&mut self, bytes: Buffer) -> Result<(), EncodeError> {
        self.description.put_varint(bytes.len() as u64);
        if !bytes.is_empty() {
            let start = next_start(self.end).ok_or(EncodeError::TooLarge)?;
            self.end = start.checked_add(bytes.len()).ok_or(EncodeError::TooLarge)?;
            self.pieces.push(Piece { start, bytes });
        }
        Ok(())
    }

    fn bits(&mut self, bits: &BooleanBuffer) -> Result<(), EncodeError> {
        self.buffer(bits.sliced())
    }

    /// Length and nulls of one array; its buffers and children follow.
    fn node(&mut self, array: &dyn Array) -> Result<(), EncodeError> {
        self.description.put_varint(array.len() as u64);
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => {
                self.description.put_u8(1);
                self.bits(nulls.inner())
            }
            None => {
                self.description.put_u8(0);
                Ok(())
            }
        }
    }

    // Depth is bounded: the type was encoded first, which refuses types that nest deeper than MAX_DEPTH.
    fn array(&mut self, array: &dyn Array) -> Result<(), EncodeError> {
        use DataType as D;
        self.node(array)?;
        match array.data_type() {
            D::Null => Ok(()),
            D::Boolean => self.bits(known(array, array.as_boolean_opt())?.values()),
            D::FixedSizeBinary(width) => self.fixed(array, usize::try_from(*width).unwrap_or_default()),
            D::Utf8 => self.bytes(known(array, array.as_bytes_opt::<Utf8Type>())?),
            D::LargeUtf8 => self.bytes(known(array, array.as_bytes_opt::<LargeUtf8Type>())?),
            D::Binary => self.bytes(known(array, array.as_bytes_opt::<BinaryType>())?),
            D::LargeBinary => self.bytes(known(array, array.as_bytes_opt::<LargeBinaryType>())?),
            D::Utf8View => self.views(known(array, array.as_byte_view_opt::<StringViewType>())?),
            D::BinaryView => self.views(known(array, array.as_byte_view_opt::<BinaryViewType>())?),
            D::List(_) => self.list(known(array, array.as_list_opt::<i32>())?),
            D::LargeList(_) => self.list(known(array, array.as_list_opt::<i64>())?),
            D::Map(..) => {
                let map = known(array, array.as_map_opt())?;
                self.lists(map.offsets(), map.entries())
            }
            D::ListView(_) => self.list_view::<i32>(array),
            D::LargeListView(_) => self.list_view::<i64>(array),
            D::FixedSizeList(_, size) => {
                let list = known(array, array.as_fixed_size_list_opt())?;
                let (size, start) = (usize::try_from(*size).unwrap_or_default(), list.value_offset(0).as_usize());
                self.array(&list.values().slice(start, list.len() * size))
            }
            D::Struct(_) => known(array, array.as_struct_opt())?.columns().iter().try_for_each(|it| self.array(it)),
            D::Union(..) => self.union(array),
            D::Dictionary(key, _) => {
                self.fixed(array, key.primitive_width().unwrap_or_default())?;
                self.array(known(array, array.as_any_dictionary_opt())?.values())
            }
            D::RunEndEncoded(ends, _) => match ends.data_type() {
                D::Int16 => self.runs(&narrow::runs(known(array, array.as_run_opt::<Int16Type>())?)),
                D::Int32 => self.runs(&narrow::runs(known(array, array.as_run_opt::<Int32Type>())?)),
                D::Int64 => self.runs(&narrow::runs(known(array, array.as_run_opt::<Int64Type>())?)),
                _ => Err(EncodeError::InvalidType(array.data_type().clone())),
            },
            primitive => self.fixed(array, primitive.primitive_width().unwrap_or_default()),
        }
    }

    /// One buffer of `width` bytes per element.
    fn fixed(&mut self, array: &dyn Array, width: usize) -> Result<(), EncodeError> {
        let data = array.to_data();
        let values = data.buffers().first().ok_or_else(|| foreign(array))?;
        self.buffer(values.slice_with_length(data.offset() * width, data.len() * width))
    }

    fn bytes<T: ByteArrayType>(&mut self, array: &GenericByteArray<T>) -> Result<(), EncodeError> {
        let (offsets, range) = narrow::offsets(array.offsets());
        self.buffer(offsets)?;
        self.buffer(array.values().slice_with_length(range.start, range.len()))
    }

    fn views<T: ByteViewType>(&mut self, array: &GenericByteViewArray<T>) -> Result<(), EncodeError> {
        let array = narrow::views(array);
        self.description.put_varint(array.data_buffers().len() as u64);
        self.buffer(array.views().inner().clone())?;
        array.data_buffers().iter().try_for_each(|bytes| self.buffer(bytes.clone()))
    }

    fn list<O: OffsetSizeTrait>(&mut self, array: &GenericListArray<O>) -> Result<(), EncodeError> {
        self.lists(array.offsets(), array.values())
    }

    fn lists<O: ArrowNativeType>(&mut self, offsets: &OffsetBuffer<O>, values: &dyn Array) -> Result<(), EncodeError> {
        let (offsets, range) = narrow::offsets(offsets);
        self.buffer(offsets)?;
        self.array(&values.slice(range.start, range.len()))
    }

    fn list_view<O: OffsetSizeTrait>(&mut self, array: &dyn Array) -> Result<(), EncodeError> {
        let array = known(array, array.as_list_view_opt::<O>())?;
        let (offsets, range) = narrow::list_view(array);
        self.buffer(offsets)?;
        self.buffer(array.sizes().inner().clone())?;
        self.array(&array.values().slice(range.start, range.len()))
    }

    fn union(&mut self, array: &dyn Array) -> Result<(), EncodeError> {
        let union = known(array, array.as_union_opt())?;
        self.buffer(union.type_ids().inner().clone())?;
        let (offsets, children) = narrow::union(union)?;
        if let Some(offsets) = offsets {
            self.buffer(offsets)?;
        }
        children.iter().try_for_each(|child| self.array(child))
    }

    fn runs(&mut self, (ends, values): &(impl Array, arrow::array::ArrayRef)) -> Result<(), EncodeError> {
        self.array(ends)?;
        self.array(values)
    }
}

fn known<'a, T: ?Sized>(array: &dyn Array, typed: Option<&'a T>) -> Result<&'a T, EncodeError> {
    typed.ok_or_else(|| foreign(array))
}

fn foreign(array: &dyn Array) -> EncodeError {
    EncodeError::ForeignArray(array.data_type().clone())
}
