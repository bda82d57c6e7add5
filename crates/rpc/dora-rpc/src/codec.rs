//! Values to bytes and back: MessagePack with the names of fields, so that a neighbouring version skips what it does not
//! know and `#[serde(default)]` fills what it misses.

use std::io::{self, Write};

use serde::{Serialize, de::DeserializeOwned};

use crate::RpcError;

/// What can be an argument, a result or an item of a stream: any owned value that serde knows.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Message for T {}

/// The bytes of a value of `what`.
///
/// # Errors
/// [`RpcError::TooLarge`] if they are more than `limit`, with their true number although they were not kept;
/// [`RpcError::Malformed`] if serde refuses the value.
pub(crate) fn encode<T: Serialize>(what: &str, value: &T, limit: usize) -> Result<Vec<u8>, RpcError> {
    let mut sink = Limited { bytes: Vec::new(), size: 0, limit };
    rmp_serde::encode::write_named(&mut sink, value).map_err(|error| malformed(what, &error))?;
    if sink.size > limit {
        return Err(RpcError::TooLarge { what: what.to_owned(), size: sink.size as u64, limit: limit as u64 });
    }
    Ok(sink.bytes)
}

/// The value that `bytes` of `what` hold.
///
/// # Errors
/// [`RpcError::Malformed`].
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, RpcError> {
    rmp_serde::from_slice(bytes).map_err(|error| malformed(what, &error))
}

fn malformed(what: &str, error: &dyn std::error::Error) -> RpcError {
    RpcError::Malformed { what: what.to_owned(), reason: error.to_string() }
}

/// Keeps up to `limit` bytes and counts the rest.
struct Limited {
    bytes: Vec<u8>,
    size: usize,
    limit: usize,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.size += bytes.len();
        if self.size <= self.limit {
            self.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    const LIMIT: usize = 1 << 20;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        Newtype(Option<i64>),
        Struct { name: String, bytes: Vec<u8>, scores: BTreeMap<String, f64> },
        Nested(Box<Result<Shape, String>>),
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        let leaf = prop_oneof![
            Just(Shape::Unit),
            any::<Option<i64>>().prop_map(Shape::Newtype),
            (".{0,20}", any::<Vec<u8>>(), proptest::collection::btree_map(".{0,4}", -1e9..1e9, 0..4))
                .prop_map(|(name, bytes, scores)| Shape::Struct { name, bytes, scores }),
        ];
        leaf.prop_recursive(4, 16, 1, |inner| {
            prop_oneof![
                inner.prop_map(|shape| Shape::Nested(Box::new(Ok(shape)))),
                ".{0,9}".prop_map(|text| { Shape::Nested(Box::new(Err(text))) })
            ]
        })
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Older {
        id: u32,
        name: String,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newer {
        labels: Vec<String>,
        name: String,
        id: u32,
        #[serde(default)]
        priority: Option<u8>,
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(shape in shapes()) {
            let bytes = encode("test", &shape, LIMIT).unwrap();
            prop_assert_eq!(decode::<Shape>("test", &bytes).unwrap(), shape);
        }

        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode::<Shape>("test", &bytes);
            let _ = decode::<RpcError>("test", &bytes);
        }

        #[test]
        fn a_cut_message_is_an_error(shape in shapes(), cut in any::<proptest::sample::Index>()) {
            let bytes = encode("test", &shape, LIMIT).unwrap();
            let cut = cut.index(bytes.len());
            prop_assert!(decode::<Shape>("test", &bytes[..cut]).is_err());
        }

        #[test]
        fn fields_that_one_side_does_not_know_are_skipped(id: u32, name in ".{0,20}", priority: Option<u8>) {
            let newer = Newer { labels: vec!["gpu".to_owned()], name: name.clone(), id, priority };
            let seen: Older = decode("test", &encode("test", &newer, LIMIT).unwrap()).unwrap();
            prop_assert_eq!(seen, Older { id, name });
        }

        #[test]
        fn the_limit_is_exact(size in 0_usize..2000, limit in 0_usize..2000) {
            let text = "x".repeat(size);
            let bytes = encode("test", &text, usize::MAX).unwrap();
            match encode("test", &text, limit) {
                Ok(kept) => prop_assert!(kept.len() <= limit && kept == bytes),
                Err(RpcError::TooLarge { size, .. }) => {
                    prop_assert_eq!(size, bytes.len() as u64);
                    prop_assert!(bytes.len() > limit);
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }

    #[test]
    fn a_missing_field_without_default_is_an_error() {
        let bytes = encode("test", &Older { id: 1, name: "a".to_owned() }, LIMIT).unwrap();
        assert!(matches!(decode::<Newer>("test", &bytes), Err(RpcError::Malformed { .. })));
    }
}
