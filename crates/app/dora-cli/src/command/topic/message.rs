//! Messages as JSON: what a tapped one says, and what is to be sent.

use arrow::buffer::Buffer;
use dora_gateways::{RawMessage, TappedMessage};
use dora_message::{
    arrow::{Layout, TypeTag, decode, json},
    metadata::{MetadataParameters, Parameter},
};
use serde::Serialize;
use serde_json::{Map, Value};

/// A message as programs read it.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Shown {
    /// When it was sent, in milliseconds since the Unix epoch.
    pub(super) timestamp: u64,
    pub(super) name: String,
    pub(super) data: Value,
    pub(super) metadata: Map<String, Value>,
}

/// What a message says; its data is null if it was too long to be sent here.
pub(super) fn shown(name: String, tapped: &TappedMessage) -> Result<Shown, String> {
    let timestamp = tapped.time_ns / 1_000_000;
    let Some(raw) = &tapped.message else {
        return Ok(Shown { timestamp, name, data: Value::Null, metadata: Map::new() });
    };
    let tag = TypeTag::try_from(raw.tag).map_err(|error| error.to_string())?;
    // Arrow wants its memory aligned.
    let payload = Buffer::from_slice_ref(&raw.payload);
    let decoded = decode(tag, &raw.header, payload).map_err(|error| error.to_string())?;
    let (data, _) = json::encode(&decoded.array).map_err(|error| error.to_string())?;
    let metadata = decoded.parameters.into_iter().map(|(key, value)| (key, plain(value))).collect();
    Ok(Shown { timestamp, name, data, metadata })
}

/// The value without its type.
fn plain(parameter: Parameter) -> Value {
    match parameter {
        Parameter::Bool(value) => value.into(),
        Parameter::Integer(value) => value.into(),
        Parameter::String(value) => value.into(),
        Parameter::ListInt(values) => values.into(),
        Parameter::Float(value) => value.into(),
        Parameter::ListFloat(values) => values.into(),
        Parameter::ListString(values) => values.into(),
        Parameter::Timestamp(time) => time.to_rfc3339().into(),
    }
}

/// The message of a JSON value: a list, or one value, or an object with `data`, and with `data_type` and `metadata` if
/// wanted. `expected` is the type that it must have, if that is known.
pub(super) fn raw(value: &Value, expected: Option<&str>) -> Result<RawMessage, String> {
    let parts = value.as_object().filter(|object| object.contains_key("data"));
    let (data, data_type, parameters) = match parts {
        Some(object) => (&object["data"], object.get("data_type"), parameters(object.get("metadata"))?),
        None => (value, None, MetadataParameters::new()),
    };
    let expected = expected.map(Value::from);
    if let (Some(given), Some(expected)) = (data_type, &expected)
        && given != expected
    {
        return Err(format!("its `data_type` is {given}, expected {expected}"));
    }
    let array = json::decode(data, data_type.or(expected.as_ref())).map_err(|error| error.to_string())?;
    let layout = Layout::of(&array).map_err(|error| error.to_string())?;
    let mut payload = vec![0; layout.payload_len()];
    layout.write_payload(&mut payload).map_err(|error| error.to_string())?;
    let mut header = layout.header().to_vec();
    dora_message::parameter::encode(&parameters, &mut header);
    Ok(RawMessage { tag: layout.tag().into(), header, payload })
}

fn parameters(metadata: Option<&Value>) -> Result<MetadataParameters, String> {
    let Some(metadata) = metadata else { return Ok(MetadataParameters::new()) };
    let object = metadata.as_object().ok_or("`metadata` is an object of values by key")?;
    let parameter = |(key, value): (&String, &Value)| {
        let parameter = parameter(value).ok_or_else(|| {
            format!("`metadata.{key}`: expected a truth value, a number, a text, or a list of numbers or texts")
        });
        Ok((key.clone(), parameter?))
    };
    object.iter().map(parameter).collect()
}

fn parameter(value: &Value) -> Option<Parameter> {
    Some(match value {
        Value::Bool(value) => Parameter::Bool(*value),
        Value::Number(number) => number.as_i64().map(Parameter::Integer).or(number.as_f64().map(Parameter::Float))?,
        Value::String(text) => Parameter::String(text.clone()),
        Value::Array(items) => {
            let integers: Option<Vec<i64>> = items.iter().map(Value::as_i64).collect();
            let floats = || items.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
            let texts = || items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>();
            let numbers = integers.map(Parameter::ListInt).or_else(|| floats().map(Parameter::ListFloat));
            numbers.or_else(|| texts().map(Parameter::ListString))?
        }
        Value::Null | Value::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::topic::tap::tests::message;

    fn round_trip(value: &Value) -> Shown {
        let tapped = TappedMessage { message: Some(raw(value, None).expect("a message")), ..message(7) };
        shown("camera/image".to_owned(), &tapped).expect("our own message")
    }

    #[test]
    fn what_is_sent_is_what_is_shown() {
        let metadata = json!({ "frame": 7, "lens": "wide", "gain": 1.5, "crop": [1, 2], "on": true, "tags": ["a"] });
        for data in [json!([1, 2, 3]), json!([1.5, null]), json!(["a", "b"]), json!([[1], []]), json!([{ "x": 1 }])] {
            let shown = round_trip(&json!({ "data": data, "metadata": metadata }));
            assert_eq!((shown.data, Value::Object(shown.metadata), shown.timestamp), (data, metadata.clone(), 7));
        }
        assert_eq!(round_trip(&json!(5)).data, json!([5]));
        assert_eq!(round_trip(&json!({ "data": [1, 2], "data_type": "UInt8" })).data, json!([1, 2]));
    }

    #[test]
    fn mistakes_say_what_was_expected() {
        let refused = |value: Value| raw(&value, None).expect_err("no message");
        assert!(refused(json!({ "data": [300], "data_type": "UInt8" })).contains("expected UInt8"));
        assert!(refused(json!({ "data": [1], "metadata": { "a": null } })).contains("`metadata.a`"));
        assert!(refused(json!([1, "a"])).contains("data_type"));
    }

    #[test]
    fn what_an_output_carries_is_what_is_sent() {
        let sent = raw(&json!([1, 2]), Some("UInt8")).expect("a message");
        assert_eq!(sent, raw(&json!({ "data": [1, 2], "data_type": "UInt8" }), None).expect("the same"));
        for wrong in [json!(["a"]), json!({ "data": [1], "data_type": "Int64" }), json!([300])] {
            assert!(raw(&wrong, Some("UInt8")).is_err_and(|error| error.contains("UInt8")), "{wrong}");
        }
    }

    #[test]
    fn a_message_that_was_too_long_has_no_data() {
        assert_eq!(shown("a/x".to_owned(), &message(7)).expect("its frame").data, Value::Null);
    }
}
