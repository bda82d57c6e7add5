//! Arrow arrays as JSON and back: for test inputs, test outputs, recordings, and people who look at messages.
//!
//! ```
//! use dora_message::arrow::json;
//! use serde_json::json;
//!
//! let array = json::decode(&json!([1, 300]), Some(&json!("UInt16")))?;
//! let (data, data_type) = json::encode(&array)?;
//! assert_eq!((data, data_type), (json!([1, 300]), json!("UInt16")));
//! # Ok::<(), json::JsonError>(())
//! ```
//!
//! An array is a list of its values: numbers, texts and truth values as such, lists as lists, structs as objects without
//! their null fields, bytes as hexadecimal text, everything else as Arrow prints it. The type stands beside it, spelled
//! as `arrow` serializes it.

mod convert;
mod decode;
mod encode;
mod infer;

use arrow::array::ArrayRef;
use serde_json::Value;

/// Why JSON is not an array, or an array has no JSON form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// The array of a list of values, or of one value. Without a type it is guessed.
///
/// # Errors
/// What was expected, and what was found.
pub fn decode(data: &Value, data_type: Option<&Value>) -> Result<ArrayRef, JsonError> {
    decode::decode(data, data_type).map_err(JsonError)
}

/// The values of an array as a list, and its type.
///
/// # Errors
/// A type that cannot be written.
pub fn encode(array: &ArrayRef) -> Result<(Value, Value), JsonError> {
    encode::encode(array).map_err(JsonError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{array::StringArray, compute::cast, datatypes::DataType};
    use proptest::{
        collection::{hash_map, vec},
        option,
        prelude::*,
        sample,
    };
    use serde_json::json;
    use std::sync::Arc;

    fn round_trip(data: Value, data_type: Option<Value>) -> Result<(ArrayRef, Value, Value), String> {
        let array = decode(&data, data_type.as_ref()).map_err(|error| error.to_string())?;
        let (data, data_type) = encode(&array).map_err(|error| error.to_string())?;
        assert_eq!(decode(&data, Some(&data_type)).map(|again| again.to_data()), Ok(array.to_data()));
        Ok((array, data, data_type))
    }

    #[test]
    fn values_come_back_with_their_type() {
        let item = |data_type: &str| json!({ "data_type": data_type });
        let field = |name: &str, data_type: &str| json!({ "name": name, "data_type": data_type });
        for (data, data_type) in [
            (json!([1, 2, null]), json!("UInt8")),
            (json!([-1, i64::MIN]), json!("Int64")),
            (json!([u64::MAX]), json!("UInt64")),
            (json!([1.5, null]), json!("Float32")),
            (json!([1.5]), json!("Float16")),
            (json!([true, false]), json!("Boolean")),
            (json!(["a", "", null]), json!("Utf8")),
            (json!(["a"]), json!("LargeUtf8")),
            (json!(["00ff"]), json!("Binary")),
            (json!([null, null]), json!("Null")),
            (json!([]), json!("Int32")),
            (json!([[1, 2], [], null]), json!({ "List": item("Int16") })),
            (json!([[1, 2], [3, 4]]), json!({ "FixedSizeList": [item("Int16"), 2] })),
            (
                json!([{ "a": 1, "b": "x" }, { "b": "y" }]),
                json!({ "Struct": [field("a", "Int32"), field("b", "Utf8")] }),
            ),
            (json!(["2024-02-29"]), json!("Date32")),
            (json!(["2024-02-29T01:02:03.000000004"]), json!({ "Timestamp": ["Nanosecond", null] })),
            (json!(["2024-02-29T01:02:03"]), json!({ "Timestamp": ["Second", null] })),
            (json!(["2024-02-29T01:02:03.004"]), json!("Date64")),
            (json!(["01:02:03"]), json!({ "Time32": "Second" })),
            (json!(["01:02:03.000004"]), json!({ "Time64": "Microsecond" })),
            (json!(["12.34", null]), json!({ "Decimal128": [5, 2] })),
            (json!(["12.34"]), json!({ "Decimal256": [5, 2] })),
            (json!(["a"]), json!("Utf8View")),
            (json!(["00ff"]), json!("BinaryView")),
            (json!(["00ff", null]), json!({ "FixedSizeBinary": 2 })),
            (json!(["a", null, "b"]), json!({ "Dictionary": ["Int8", "Utf8"] })),
        ] {
            let (array, data_again, type_again) = round_trip(data.clone(), Some(data_type.clone())).unwrap();
            assert_eq!(data_again, data);
            assert!(data_type.is_object() || data_type == type_again, "{type_again}");
            assert!(array.data_type().is_nested() || !data_type.to_string().contains("List"));
        }
    }

    #[test]
    fn types_are_guessed() {
        for (data, data_type) in [
            (json!(7), json!("Int64")),
            (json!([1, 2.5]), json!("Float64")),
            (json!("text"), json!("Utf8")),
            (json!([true, null]), json!("Boolean")),
            (json!([]), json!("Null")),
        ] {
            assert_eq!(round_trip(data.clone(), None).unwrap().2, data_type, "{data}");
        }
        let (array, ..) = round_trip(json!([[1], [2.5]]), None).unwrap();
        assert_eq!(array.data_type().to_string(), "List(Float64)");
        let (array, ..) = round_trip(json!([{ "a": 1 }, { "b": [true] }]), None).unwrap();
        assert_eq!(array.len(), 2);
    }

    #[test]
    fn other_types_are_at_least_printed() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a"]));
        let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
        let (data, _) = encode(&cast(&texts, &dictionary).unwrap()).unwrap();
        assert_eq!(data, json!(["a", "b", "a"]));
        let some: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        assert_eq!(encode(&cast(&some, &dictionary).unwrap()).unwrap().0, json!(["a", null]));
        let none: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
        assert_eq!(encode(&cast(&none, &dictionary).unwrap()).unwrap().0, json!([null]));
    }

    #[test]
    fn mistakes_say_what_was_expected() {
        let error = |data, data_type| decode(&data, Some(&data_type)).unwrap_err().to_string();
        assert_eq!(error(json!([1, 300]), json!("UInt8")), "value 1: expected UInt8, found 300");
        assert_eq!(error(json!(["x"]), json!("Boolean")), "value 0: expected Boolean, found \"x\"");
        assert!(error(json!([1]), json!("Int7")).contains("Int7"));
        assert!(decode(&json!([1, "a"]), None).unwrap_err().to_string().contains("`data_type`"));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-f0-9:. -]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                hash_map("[ab]", inner, 0..3).prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn types() -> impl Strategy<Value = Value> {
        let leaf = sample::select(vec![
            json!("Null"),
            json!("Boolean"),
            json!("UInt8"),
            json!("Int64"),
            json!("Float16"),
            json!("Float64"),
            json!("Utf8"),
            json!("LargeUtf8"),
            json!("Utf8View"),
            json!("Binary"),
            json!("LargeBinary"),
            json!({ "FixedSizeBinary": 2 }),
            json!({ "FixedSizeBinary": -1 }),
            json!("Date32"),
            json!({ "Time32": "Second" }),
            json!({ "Time32": "Nanosecond" }),
            json!({ "Timestamp": ["Microsecond", "UTC"] }),
            json!({ "Decimal128": [5, 2] }),
            json!({ "Duration": "Second" }),
            json!("nonsense"),
            json!(7),
        ]);
        leaf.prop_recursive(2, 6, 2, |inner| {
            let field = inner.prop_map(|inner| json!({ "data_type": inner, "name": "a" }));
            prop_oneof![
                field.clone().prop_map(|field| json!({ "List": field })),
                field.clone().prop_map(|field| json!({ "LargeList": field })),
                (field.clone(), -1..3).prop_map(|(field, size)| json!({ "FixedSizeList": [field, size] })),
                vec(field, 0..3).prop_map(|fields| json!({ "Struct": fields })),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_values_and_no_type_panic(data in values(), data_type in option::of(types())) {
            if let Ok(array) = decode(&data, data_type.as_ref())
                && let Ok((data, _)) = encode(&array)
            {
                prop_assert_eq!(data.as_array().map(Vec::len), Some(array.len()));
            }
        }
    }
}
