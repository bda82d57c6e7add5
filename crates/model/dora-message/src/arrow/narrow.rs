//! Slices that keep their parent's values, cut down to what they refer to.
//!
//! Arrow slices lists, texts, dense unions and runs by slicing their offsets alone. Sending such a slice as it is would
//! send all values of its parent. Each function here returns offsets that count from the first value that is referred
//! to, and the range of values to send. Nothing is copied but offsets, and those only where they change; the exception
//! is byte views, whose data is gathered when less than all of it is referred to.

use std::ops::Range;

use arrow::{
    array::{
        Array, ArrayRef, GenericByteViewArray, GenericListViewArray, OffsetSizeTrait, PrimitiveArray, RunArray,
        UnionArray,
    },
    buffer::{Buffer, OffsetBuffer, ScalarBuffer},
    datatypes::{ArrowNativeType, ByteViewType, RunEndIndexType},
};

use super::layout::EncodeError;

/// Offsets of lists or texts, from zero on, and the range of values that they span.
pub(super) fn offsets<O: ArrowNativeType>(offsets: &OffsetBuffer<O>) -> (Buffer, Range<usize>) {
    let first = offsets.first().copied().unwrap_or_default().as_usize();
    let last = offsets.last().copied().unwrap_or_default().as_usize();
    let buffer = if first == 0 {
        offsets.inner().inner().clone()
    } else {
        rebased::<O>(offsets.iter().map(|offset| offset.as_usize() - first))
    };
    (buffer, first..last)
}

/// Offsets of list views, from zero on, and the range of values that they span. Empty lists point to zero.
pub(super) fn list_view<O: OffsetSizeTrait>(array: &GenericListViewArray<O>) -> (Buffer, Range<usize>) {
    let spans = || array.offsets().iter().zip(array.sizes()).map(|(start, len)| (start.as_usize(), len.as_usize()));
    let used = || spans().filter(|(_, len)| *len > 0);
    let first = used().map(|(start, _)| start).min().unwrap_or_default();
    let end = used().map(|(start, len)| start + len).max().unwrap_or_default();
    let rebased = rebased::<O>(spans().map(|(start, len)| if len > 0 { start - first } else { 0 }));
    (rebased, first..end)
}

/// Run ends of the slice, and the values of its runs.
pub(super) fn runs<R: RunEndIndexType>(array: &RunArray<R>) -> (PrimitiveArray<R>, ArrayRef) {
    let ends = array.run_ends().sliced_values().collect::<ScalarBuffer<R::Native>>();
    (PrimitiveArray::new(ends, None), array.values_slice())
}

/// Byte views whose data buffers hold little else than what the views refer to.
pub(super) fn views<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> GenericByteViewArray<T> {
    let held: usize = array.data_buffers().iter().map(Buffer::len).sum();
    if held > array.total_buffer_bytes_used() { array.gc() } else { array.clone() }
}

/// Offsets (dense unions only) and children of a union, each child cut to what is referred to.
pub(super) fn union(array: &UnionArray) -> Result<(Option<Buffer>, Vec<ArrayRef>), EncodeError> {
    let Some(offsets) = array.offsets() else {
        // the children of a sparse union are sliced with it
        return Ok((None, array.fields().iter().map(|(id, _)| array.child(id).clone()).collect()));
    };
    let mut ranges = vec![None::<Range<usize>>; 128]; // type ids are 0 to 127
    let items = || array.type_ids().iter().zip(offsets).map(|(id, at)| (id.as_usize(), at.as_usize()));
    for (id, at) in items() {
        let range = ranges[id].get_or_insert(at..at + 1);
        *range = range.start.min(at)..range.end.max(at + 1);
    }
    let ranges: Vec<_> = ranges.into_iter().map(Option::unwrap_or_default).collect();
    let rebased = rebased::<i32>(items().map(|(id, at)| at - ranges[id].start));
    let children = array.fields().iter().map(|(id, _)| {
        let range = &ranges[id.as_usize()];
        array.child(id).slice(range.start, range.len())
    });
    Ok((Some(rebased), children.collect()))
}

fn rebased<O: ArrowNativeType>(offsets: impl Iterator<Item = usize>) -> Buffer {
    Buffer::from_vec(offsets.map(O::usize_as).collect::<Vec<O>>())
}
