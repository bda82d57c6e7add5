//! Arrow arrays that can be sent as they are.
//!
//! They are listed one by one: an implementation for every `T: Array` would overlap with those for numbers and texts,
//! because Arrow could some day make these arrays.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, BooleanArray, DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray,
        GenericByteArray, GenericByteViewArray, GenericListArray, GenericListViewArray, MapArray, NullArray,
        OffsetSizeTrait, PrimitiveArray, RunArray, StructArray, UnionArray,
    },
    datatypes::{ArrowDictionaryKeyType, ByteArrayType, ByteViewType, RunEndIndexType},
};

use crate::{DoraArray, IntoArrow};

macro_rules! arrays {
    ($($({$($generics:tt)+})? $array:ty),* $(,)?) => {$(
        impl$(<$($generics)+>)? IntoArrow for $array {
            fn into_arrow(self) -> DoraArray {
                DoraArray(Arc::new(self))
            }
        }
    )*};
}

arrays! {
    BooleanArray,
    NullArray,
    FixedSizeBinaryArray,
    FixedSizeListArray,
    StructArray,
    MapArray,
    UnionArray,
    {T: ArrowPrimitiveType} PrimitiveArray<T>,
    {T: ByteArrayType} GenericByteArray<T>,
    {T: ByteViewType + ?Sized} GenericByteViewArray<T>,
    {O: OffsetSizeTrait} GenericListArray<O>,
    {O: OffsetSizeTrait} GenericListViewArray<O>,
    {K: ArrowDictionaryKeyType} DictionaryArray<K>,
    {R: RunEndIndexType} RunArray<R>,
}

impl IntoArrow for DoraArray {
    fn into_arrow(self) -> DoraArray {
        self
    }
}

impl IntoArrow for ArrayRef {
    fn into_arrow(self) -> DoraArray {
        DoraArray(self)
    }
}

impl<A: Array + 'static> IntoArrow for Arc<A> {
    fn into_arrow(self) -> DoraArray {
        DoraArray(self)
    }
}

/// A borrowed array: its buffers are shared, not copied.
impl<A: Array + IntoArrow + Clone> IntoArrow for &A {
    fn into_arrow(self) -> DoraArray {
        self.clone().into_arrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringArray};

    /// What `send_output` demands.
    fn sent(data: impl IntoArrow) -> DoraArray {
        data.into_arrow()
    }

    #[test]
    fn owned_shared_and_borrowed_arrays_can_be_sent() {
        let array = Int32Array::from(vec![1, 2]);
        let shared: ArrayRef = Arc::new(array.clone());
        let all = [
            sent(array.clone()),
            sent(&array),
            sent(Arc::new(array.clone())),
            sent(shared.clone()),
            sent(&shared),
            sent(DoraArray::from(shared)),
        ];
        for data in all {
            assert_eq!(<&[i32]>::try_from(&data).map(<[i32]>::as_ptr).ok(), Some(array.values().as_ptr()));
        }
        assert_eq!(sent(StringArray::from(vec!["a"])).len(), 1);
        assert_eq!(sent("a").len(), 1);
    }
}
