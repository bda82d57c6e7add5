//! The one byte that says how to read a payload.

/// The first of the tags (this one to 255) that are set aside for payloads outside host memory.
pub const FIRST_DEVICE_TAG: u8 = 200;

/// Why a byte is no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTag {
    /// Not assigned: the sender is newer, or the descriptor is damaged.
    #[error("payload type {0} is unknown to this version of dora")]
    Unknown(u8),
    /// The payload lies in the memory of a device, which this version cannot read.
    #[error("payload type {0} lies in device memory, which this version of dora cannot read")]
    Device(u8),
}

macro_rules! type_tag {
    ($($(#[$doc:meta])* $name:ident = $byte:literal,)*) => {
        /// How to read a payload. The byte values are part of the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum TypeTag {
            $($(#[$doc])* $name = $byte,)*
        }

        impl TryFrom<u8> for TypeTag {
            type Error = InvalidTag;
            #[inline]
            fn try_from(byte: u8) -> Result<Self, InvalidTag> {
                match byte {
                    $($byte => Ok(Self::$name),)*
                    FIRST_DEVICE_TAG.. => Err(InvalidTag::Device(byte)),
                    _ => Err(InvalidTag::Unknown(byte)),
                }
            }
        }

        #[cfg(test)]
        pub(super) const ALL: &[TypeTag] = &[$(TypeTag::$name),*];
    };
}

type_tag! {
    /// The header describes the array.
    Described = 0,
    /// A `Null` array of length 0; the payload is empty.
    Empty = 1,
    /// A `Boolean` array of length 1; the payload is the byte 0 or 1.
    Bool = 2,
    /// A `Utf8` array of length 1; the payload is the text.
    Text = 3,
    /// A `UInt8` array without nulls; the payload is the values, as for all that follow.
    UInt8 = 4,
    /// A `UInt16` array without nulls.
    UInt16 = 5,
    /// A `UInt32` array without nulls.
    UInt32 = 6,
    /// A `UInt64` array without nulls.
    UInt64 = 7,
    /// An `Int8` array without nulls.
    Int8 = 8,
    /// An `Int16` array without nulls.
    Int16 = 9,
    /// An `Int32` array without nulls.
    Int32 = 10,
    /// An `Int64` array without nulls.
    Int64 = 11,
    /// A `Float16` array without nulls.
    Float16 = 12,
    /// A `Float32` array without nulls.
    Float32 = 13,
    /// A `Float64` array without nulls.
    Float64 = 14,
}

impl From<TypeTag> for u8 {
    #[inline]
    fn from(tag: TypeTag) -> u8 {
        tag as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_tags_correspond() {
        for byte in 0..=u8::MAX {
            match TypeTag::try_from(byte) {
                Ok(tag) => assert_eq!(u8::from(tag), byte),
                Err(InvalidTag::Device(found)) => assert!(found == byte && byte >= 200),
                Err(InvalidTag::Unknown(found)) => assert!(found == byte && byte < 200),
            }
        }
        assert!(ALL.iter().all(|tag| TypeTag::try_from(u8::from(*tag)) == Ok(*tag)));
    }
}
