//! The array type of the node API.

use std::ops::Deref;

use arrow::array::{Array, ArrayRef};

/// An Arrow array of any type, as a node receives it.
///
/// Known as `ArrowData` in sources written for dora 0.x; both names construct and dereference the same way.
#[derive(Debug, Clone)]
pub struct DoraArray(pub ArrayRef);

impl DoraArray {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Number of values that are null.
    pub fn null_count(&self) -> usize {
        self.0.null_count()
    }
    /// The Arrow type, for people: `UInt8`, `List(Utf8)`.
    pub fn type_name(&self) -> String {
        self.0.data_type().to_string()
    }
    /// The array inside.
    #[cfg(feature = "arrow-v59")]
    pub fn as_array(&self) -> &ArrayRef {
        &self.0
    }
    /// The array inside, without a copy.
    #[cfg(feature = "arrow-v59")]
    pub fn into_inner(self) -> ArrayRef {
        self.0
    }
    /// Wraps any array. Its data is not copied.
    #[cfg(feature = "arrow-v59")]
    pub fn from_array(array: impl Array + 'static) -> Self {
        // through the data rather than an Arc around it: `array` may itself be an ArrayRef or a view of an array
        arrow::array::make_array(array.to_data()).into()
    }
}

impl PartialEq for DoraArray {
    /// Same type and same values.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl Deref for DoraArray {
    type Target = ArrayRef;
    fn deref(&self) -> &ArrayRef {
        &self.0
    }
}

impl From<ArrayRef> for DoraArray {
    fn from(array: ArrayRef) -> Self {
        DoraArray(array)
    }
}

impl From<DoraArray> for ArrayRef {
    fn from(array: DoraArray) -> Self {
        array.0
    }
}

impl From<arrow::array::ArrayData> for DoraArray {
    fn from(data: arrow::array::ArrayData) -> Self {
        DoraArray(arrow::array::make_array(data))
    }
}
