//! From an array to its bytes: what a sender asks before it reserves memory, and the copy into it.

use arrow::{
    array::{Array, AsArray},
    datatypes::{self as types, ArrowPrimitiveType, DataType},
    error::ArrowError,
};

use super::{
    MAX_DEPTH,
    plan::{Plan, plan},
    tag::TypeTag,
};

/// Why an array cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A type that Arrow's own constructors do not make, for example `Time32(Nanosecond)`.
    #[error("arrays of type {0} cannot be sent: this is not a valid Arrow type")]
    InvalidType(DataType),
    /// The array says that it has this type, but is not one of Arrow's array structs for it.
    #[error("an array of type {0} is not one of Arrow's own arrays; convert it with `arrow::array::make_array` first")]
    ForeignArray(DataType),
    /// Lists of structs of lists of ... deeper than [`MAX_DEPTH`].
    #[error("types nested deeper than {MAX_DEPTH} levels cannot be sent")]
    TooDeep,
    /// The sum of the buffers exceeds the address space, or the description exceeds 4 GiB.
    #[error("the array is too large to be sent as one message")]
    TooLarge,
    /// [`Layout::write_payload`] was given memory of another size than [`Layout::payload_len`].
    #[error("the payload needs {needed} bytes, but {given} were given")]
    Memory {
        /// What [`Layout::payload_len`] says.
        needed: usize,
        /// What was given.
        given: usize,
    },
    /// Arrow refused to rewrite a slice.
    #[error("cannot narrow the array to its slice: {0}")]
    Arrow(#[from] ArrowError),
}

/// How an array becomes bytes: its tag, header and payload length are known, nothing is copied yet.
#[derive(Debug)]
pub struct Layout<'a> {
    tag: TypeTag,
    body: Body<'a>,
}

#[derive(Debug)]
enum Body<'a> {
    /// The payload is these bytes.
    Values(&'a [u8]),
    Truth(bool),
    Planned(Plan),
}

impl<'a> Layout<'a> {
    /// The layout of an array. Costs no allocation if a tag other than [`TypeTag::Described`] fits.
    pub fn of(array: &'a dyn Array) -> Result<Self, EncodeError> {
        match Self::tagged(array) {
            Some(layout) => Ok(layout),
            None => Ok(Self { tag: TypeTag::Described, body: Body::Planned(plan(array)?) }),
        }
    }

    /// The layout of raw bytes: a `UInt8` array.
    pub const fn of_bytes(bytes: &'a [u8]) -> Self {
        Self { tag: TypeTag::UInt8, body: Body::Values(bytes) }
    }

    fn tagged(array: &'a dyn Array) -> Option<Self> {
        if array.null_count() != 0 {
            return None;
        }
        match array.data_type() {
            DataType::UInt8 => values::<types::UInt8Type>(TypeTag::UInt8, array),
            DataType::UInt16 => values::<types::UInt16Type>(TypeTag::UInt16, array),
            DataType::UInt32 => values::<types::UInt32Type>(TypeTag::UInt32, array),
            DataType::UInt64 => values::<types::UInt64Type>(TypeTag::UInt64, array),
            DataType::Int8 => values::<types::Int8Type>(TypeTag::Int8, array),
            DataType::Int16 => values::<types::Int16Type>(TypeTag::Int16, array),
            DataType::Int32 => values::<types::Int32Type>(TypeTag::Int32, array),
            DataType::Int64 => values::<types::Int64Type>(TypeTag::Int64, array),
            DataType::Float16 => values::<types::Float16Type>(TypeTag::Float16, array),
            DataType::Float32 => values::<types::Float32Type>(TypeTag::Float32, array),
            DataType::Float64 => values::<types::Float64Type>(TypeTag::Float64, array),
            DataType::Null if array.is_empty() => Some(Self { tag: TypeTag::Empty, body: Body::Values(&[]) }),
            DataType::Utf8 if array.len() == 1 => {
                let text = array.as_string_opt::<i32>()?.value(0);
                Some(Self { tag: TypeTag::Text, body: Body::Values(text.as_bytes()) })
            }
            DataType::Boolean if array.len() == 1 => {
                Some(Self { tag: TypeTag::Bool, body: Body::Truth(array.as_boolean_opt()?.value(0)) })
            }
            _ => None,
        }
    }

    /// The tag to put into the descriptor.
    pub const fn tag(&self) -> TypeTag {
        self.tag
    }

    /// Length of the payload in bytes.
    pub const fn payload_len(&self) -> usize {
        match &self.body {
            Body::Values(bytes) => bytes.len(),
            Body::Truth(_) => 1,
            Body::Planned(plan) => plan.payload_len(),
        }
    }

    /// The description of the array, with which the header of the message starts. The encoded parameters follow it.
    pub fn header(&self) -> &[u8] {
        match &self.body {
            Body::Values(_) | Body::Truth(_) => &[],
            Body::Planned(plan) => plan.description(),
        }
    }

    /// Length of [`Self::header`] in bytes; 0 for every tag but [`TypeTag::Described`].
    pub fn header_len(&self) -> usize {
        self.header().len()
    }

    /// Copies the array's buffers into `memory`, each exactly once, and zeroes the gaps between them.
    ///
    /// `memory` must be exactly [`Self::payload_len`] bytes long, and should start at a multiple of
    /// [`super::PAYLOAD_ALIGNMENT`], without which the receiver has to copy.
    pub fn write_payload(&self, memory: &mut [u8]) -> Result<(), EncodeError> {
        let (needed, given) = (self.payload_len(), memory.len());
        if needed != given {
            return Err(EncodeError::Memory { needed, given });
        }
        match &self.body {
            Body::Values(bytes) => memory.copy_from_slice(bytes),
            Body::Truth(value) => memory.fill(u8::from(*value)),
            Body::Planned(plan) => plan.write(memory),
        }
        Ok(())
    }
}

#[inline]
fn values<T: ArrowPrimitiveType>(tag: TypeTag, array: &dyn Array) -> Option<Layout<'_>> {
    let bytes = array.as_primitive_opt::<T>()?.values().inner().as_slice();
    Some(Layout { tag, body: Body::Values(bytes) })
}
