//! Arrays of arrow 58, through the Arrow C data interface: the data is shared, not copied.
//!
//! See <https://arrow.apache.org/docs/format/CDataInterface.html>: both versions of the crate describe an array by the
//! same two C structures, which carry their own release callbacks.
#![allow(unsafe_code)]

use arrow_58::{array::ArrayRef as ArrayRef58, ffi as ffi_58};
use eyre::{Context, Report, Result};

use crate::DoraArray;

impl DoraArray {
    /// Takes over an array of arrow 58.
    ///
    /// # Errors
    /// If its type has no form in the C data interface.
    pub fn from_arrow_v58(array: &dyn arrow_58::array::Array) -> Result<DoraArray> {
        let (mut data, mut schema) = ffi_58::to_ffi(&array.to_data()).wrap_err("cannot export the arrow 58 array")?;
        // SAFETY: both types are `repr(C)` and lay out the same structure of the C data interface, whose way of moving
        // is to copy it and to mark the source as released; that is what `from_raw` does. Both pointers are valid for
        // reads and writes, and what `data` and `schema` drop afterwards is marked as released.
        let (data, schema) = unsafe {
            let data = arrow::ffi::FFI_ArrowArray::from_raw((&raw mut data).cast());
            (data, arrow::ffi::FFI_ArrowSchema::from_raw((&raw mut schema).cast()))
        };
        // SAFETY: a conforming exporter made the structures just above.
        let data = unsafe { arrow::ffi::from_ffi(data, &schema) }.wrap_err("cannot import the arrow 58 array")?;
        Ok(data.into())
    }

    /// The same array for code that uses arrow 58.
    ///
    /// # Errors
    /// If its type is not known there.
    pub fn to_arrow_v58(&self) -> Result<ArrayRef58> {
        let (mut data, mut schema) = arrow::ffi::to_ffi(&self.0.to_data()).wrap_err("cannot export the array")?;
        // SAFETY: as in `from_arrow_v58`, in the other direction.
        let (data, schema) = unsafe {
            let data = ffi_58::FFI_ArrowArray::from_raw((&raw mut data).cast());
            (data, ffi_58::FFI_ArrowSchema::from_raw((&raw mut schema).cast()))
        };
        // SAFETY: a conforming exporter made the structures just above.
        let data = unsafe { ffi_58::from_ffi(data, &schema) }.wrap_err("cannot import the array as arrow 58")?;
        Ok(arrow_58::array::make_array(data))
    }
}

impl TryFrom<&dyn arrow_58::array::Array> for DoraArray {
    type Error = Report;
    fn try_from(array: &dyn arrow_58::array::Array) -> Result<Self> {
        Self::from_arrow_v58(array)
    }
}

impl TryFrom<&ArrayRef58> for DoraArray {
    type Error = Report;
    fn try_from(array: &ArrayRef58) -> Result<Self> {
        Self::from_arrow_v58(array)
    }
}

impl TryFrom<ArrayRef58> for DoraArray {
    type Error = Report;
    fn try_from(array: ArrayRef58) -> Result<Self> {
        Self::from_arrow_v58(&array)
    }
}

impl TryFrom<&DoraArray> for ArrayRef58 {
    type Error = Report;
    fn try_from(array: &DoraArray) -> Result<Self> {
        array.to_arrow_v58()
    }
}

impl TryFrom<DoraArray> for ArrayRef58 {
    type Error = Report;
    fn try_from(array: DoraArray) -> Result<Self> {
        array.to_arrow_v58()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_58::array::{Array, AsArray};

    #[test]
    fn arrays_cross_without_a_copy() -> Result<()> {
        let old = arrow_58::array::UInt32Array::from(vec![1, 2, 3]);
        let address = old.values().as_ptr();
        let new = DoraArray::from_arrow_v58(&old)?;
        let values: &[u32] = (&new).try_into()?;
        assert_eq!((values, values.as_ptr()), ([1, 2, 3].as_slice(), address));
        let back = new.to_arrow_v58()?;
        assert_eq!(back.as_primitive::<arrow_58::datatypes::UInt32Type>().values().as_ptr(), address);
        assert_eq!(back.len(), 3);
        Ok(())
    }

    #[test]
    fn nested_arrays_with_nulls_come_back() -> Result<()> {
        let list = [Some(vec![Some(1), None]), None, Some(vec![])];
        let old = arrow_58::array::ListArray::from_iter_primitive::<arrow_58::datatypes::Int16Type, _, _>(list);
        let old: ArrayRef58 = std::sync::Arc::new(old.slice(0, 2));
        let new = DoraArray::try_from(&old)?;
        assert_eq!((new.len(), new.null_count()), (2, 1));
        assert_eq!(&ArrayRef58::try_from(new)?, &old);
        Ok(())
    }

    #[test]
    fn memory_is_released_with_the_last_user() -> Result<()> {
        let values = arrow_58::buffer::Buffer::from_vec(vec![1u8; 9]);
        let users = || values.strong_count();
        let old = arrow_58::array::UInt8Array::new(values.clone().into(), None);
        let new = DoraArray::from_arrow_v58(&old)?;
        drop(old);
        assert!(users() > 1, "the new array keeps the memory");
        drop(new);
        assert_eq!(users(), 1);
        Ok(())
    }
}
