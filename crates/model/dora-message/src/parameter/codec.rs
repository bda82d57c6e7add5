//! The binary form of parameters (described in the parent module).

use std::str::Utf8Error;

use chrono::DateTime;

use super::{MetadataParameters, Parameter};
use crate::wire::{Count, InPlace, Put, Reader, Truncated};

// Tags are part of the protocol: never reuse one.
const BOOL: u8 = 1;
const INTEGER: u8 = 2;
const STRING: u8 = 3;
const LIST_INT: u8 = 4;
const FLOAT: u8 = 5;
const LIST_FLOAT: u8 = 6;
const LIST_STRING: u8 = 7;
const TIMESTAMP: u8 = 8;

/// Why bytes are not parameters, or memory does not fit them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// The bytes end too early.
    #[error("the parameters of the message are cut off")]
    Truncated(#[from] Truncated),
    /// A key or text is not UTF-8.
    #[error("a parameter of the message holds text that is not UTF-8: {0}")]
    Text(#[from] Utf8Error),
    /// The value does not have the shape that its tag promises.
    #[error("parameter `{key}` of the message has {len} bytes, which is no value of type {tag}")]
    Value {
        /// The key of the parameter.
        key: String,
        /// The type tag found.
        tag: u8,
        /// Length of the value in bytes.
        len: usize,
    },
    /// [`encode_in_place`] was given memory of another size than [`encoded_len`] said.
    #[error("the parameters need {needed} bytes, but {given} were given")]
    Memory {
        /// What [`encoded_len`] says.
        needed: usize,
        /// What was given.
        given: usize,
    },
}

/// Length of the binary form in bytes. 0 if there are no parameters.
pub fn encoded_len(parameters: &MetadataParameters) -> usize {
    let mut count = Count::default();
    put_all(parameters, &mut count);
    count.0
}

/// Appends the binary form to `out`.
pub fn encode(parameters: &MetadataParameters, out: &mut Vec<u8>) {
    put_all(parameters, out);
}

/// Writes the binary form into `memory`, which must be exactly [`encoded_len`] bytes long.
pub fn encode_in_place(parameters: &MetadataParameters, memory: &mut [u8]) -> Result<(), ParameterError> {
    let given = memory.len();
    let mut place = InPlace::new(memory);
    put_all(parameters, &mut place);
    if place.is_exact() { Ok(()) } else { Err(ParameterError::Memory { needed: encoded_len(parameters), given }) }
}

fn put_all(parameters: &MetadataParameters, out: &mut impl Put) {
    for (key, value) in parameters {
        out.put_bytes(key.as_bytes());
        put_value(value, out);
    }
}

fn put_value(value: &Parameter, out: &mut impl Put) {
    match value {
        Parameter::Bool(value) => put_tagged(out, BOOL, &[u8::from(*value)]),
        Parameter::Integer(value) => put_tagged(out, INTEGER, &value.to_le_bytes()),
        Parameter::Float(value) => put_tagged(out, FLOAT, &value.to_le_bytes()),
        Parameter::String(value) => put_tagged(out, STRING, value.as_bytes()),
        Parameter::ListInt(values) => put_words(out, LIST_INT, values.iter().map(|value| value.to_le_bytes())),
        Parameter::ListFloat(values) => put_words(out, LIST_FLOAT, values.iter().map(|value| value.to_le_bytes())),
        Parameter::ListString(values) => {
            let mut count = Count::default();
            values.iter().for_each(|value| count.put_bytes(value.as_bytes()));
            out.put_u8(LIST_STRING);
            out.put_varint(count.0 as u64);
            values.iter().for_each(|value| out.put_bytes(value.as_bytes()));
        }
        Parameter::Timestamp(value) => {
            out.put_u8(TIMESTAMP);
            out.put_varint(12);
            out.put(&value.timestamp().to_le_bytes());
            out.put(&value.timestamp_subsec_nanos().to_le_bytes());
        }
    }
}

fn put_tagged(out: &mut impl Put, tag: u8, value: &[u8]) {
    out.put_u8(tag);
    out.put_bytes(value);
}

fn put_words(out: &mut impl Put, tag: u8, words: impl ExactSizeIterator<Item = [u8; 8]>) {
    out.put_u8(tag);
    out.put_varint(words.len() as u64 * 8);
    words.for_each(|word| out.put(&word));
}

/// Reads parameters from their binary form. Values of unknown type are left out; of equal keys the last counts.
///
/// Never panics, and never allocates more than a small multiple of the length of `bytes`.
pub fn decode(bytes: &[u8]) -> Result<MetadataParameters, ParameterError> {
    let mut reader = Reader::new(bytes);
    let mut parameters = MetadataParameters::new();
    while !reader.is_empty() {
        let key = std::str::from_utf8(reader.bytes()?)?;
        let tag = reader.u8()?;
        let bytes = reader.bytes()?;
        match decode_value(tag, bytes)? {
            Value::Known(value) => drop(parameters.insert(key.to_owned(), value)),
            Value::Unknown => {}
            Value::Malformed => {
                return Err(ParameterError::Value { key: key.to_owned(), tag, len: bytes.len() });
            }
        }
    }
    Ok(parameters)
}

enum Value {
    Known(Parameter),
    /// A tag of a later version.
    Unknown,
    /// Not of the shape that the tag promises.
    Malformed,
}

fn decode_value(tag: u8, bytes: &[u8]) -> Result<Value, ParameterError> {
    let value = match tag {
        BOOL => match bytes {
            [0] => Some(Parameter::Bool(false)),
            [1] => Some(Parameter::Bool(true)),
            _ => None,
        },
        INTEGER => bytes.try_into().ok().map(|word| Parameter::Integer(i64::from_le_bytes(word))),
        FLOAT => bytes.try_into().ok().map(|word| Parameter::Float(f64::from_le_bytes(word))),
        STRING => Some(Parameter::String(std::str::from_utf8(bytes)?.to_owned())),
        LIST_INT => words(bytes, i64::from_le_bytes).map(Parameter::ListInt),
        LIST_FLOAT => words(bytes, f64::from_le_bytes).map(Parameter::ListFloat),
        LIST_STRING => Some(Parameter::ListString(texts(bytes)?)),
        TIMESTAMP => timestamp(bytes),
        _ => return Ok(Value::Unknown),
    };
    Ok(value.map_or(Value::Malformed, Value::Known))
}

fn words<T>(bytes: &[u8], from_le_bytes: fn([u8; 8]) -> T) -> Option<Vec<T>> {
    let (words, []) = bytes.as_chunks::<8>() else { return None };
    Some(words.iter().copied().map(from_le_bytes).collect())
}

fn texts(bytes: &[u8]) -> Result<Vec<String>, ParameterError> {
    let mut reader = Reader::new(bytes);
    let mut texts = Vec::new();
    while !reader.is_empty() {
        texts.push(std::str::from_utf8(reader.bytes()?)?.to_owned());
    }
    Ok(texts)
}

fn timestamp(bytes: &[u8]) -> Option<Parameter> {
    let (seconds, nanos) = bytes.split_first_chunk::<8>()?;
    let nanos = u32::from_le_bytes(nanos.try_into().ok()?);
    DateTime::from_timestamp(i64::from_le_bytes(*seconds), nanos).map(Parameter::Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn any_parameter() -> impl Strategy<Value = Parameter> {
        prop_oneof![
            any::<bool>().prop_map(Parameter::Bool),
            any::<i64>().prop_map(Parameter::Integer),
            ".{0,12}".prop_map(Parameter::String),
            vec(any::<i64>(), 0..9).prop_map(Parameter::ListInt),
            // NaN is not equal to itself
            (-1e300..1e300f64).prop_map(Parameter::Float),
            vec(-1e300..1e300f64, 0..9).prop_map(Parameter::ListFloat),
            vec(".{0,6}", 0..5).prop_map(Parameter::ListString),
            (-8_000_000_000_000i64..8_000_000_000_000, 0..1_000_000_000u32).prop_map(|(seconds, nanos)| {
                Parameter::Timestamp(DateTime::from_timestamp(seconds, nanos).unwrap_or_default())
            }),
        ]
    }

    fn any_parameters() -> impl Strategy<Value = MetadataParameters> {
        proptest::collection::btree_map(".{0,10}", any_parameter(), 0..6)
    }

    proptest! {
        #[test]
        fn round_trip(parameters in any_parameters()) {
            let mut bytes = vec![];
            encode(&parameters, &mut bytes);
            prop_assert_eq!(bytes.len(), encoded_len(&parameters));
            let mut memory = vec![0; bytes.len()];
            encode_in_place(&parameters, &mut memory).unwrap();
            prop_assert_eq!(&memory, &bytes);
            prop_assert_eq!(decode(&bytes).unwrap(), parameters);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn damaged_bytes_never_panic(parameters in any_parameters(), at: prop::sample::Index, byte: u8) {
            let mut bytes = vec![];
            encode(&parameters, &mut bytes);
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                let _ = decode(&bytes);
                let _ = decode(&bytes[..at]);
            }
        }
    }

    #[test]
    fn no_parameters_are_no_bytes() {
        assert_eq!(encoded_len(&MetadataParameters::new()), 0);
        assert_eq!(decode(&[]), Ok(MetadataParameters::new()));
    }

    #[test]
    fn unknown_tags_are_skipped() {
        let mut bytes = vec![];
        bytes.put_bytes(b"later");
        put_tagged(&mut bytes, 99, b"whatever");
        encode(&[("now".to_owned(), Parameter::Bool(true))].into(), &mut bytes);
        assert_eq!(decode(&bytes).unwrap().keys().collect::<Vec<_>>(), ["now"]);
    }

    #[test]
    fn a_value_of_the_wrong_length_is_refused() {
        let mut bytes = vec![];
        bytes.put_bytes(b"n");
        put_tagged(&mut bytes, INTEGER, &[1, 2]);
        assert_eq!(decode(&bytes), Err(ParameterError::Value { key: "n".into(), tag: INTEGER, len: 2 }));
    }

    #[test]
    fn memory_of_another_size_is_refused() {
        let parameters = [("n".to_owned(), Parameter::Integer(1))].into();
        let needed = encoded_len(&parameters);
        for given in [0, needed - 1, needed + 1] {
            assert_eq!(
                encode_in_place(&parameters, &mut vec![0; given]),
                Err(ParameterError::Memory { needed, given })
            );
        }
    }
}
