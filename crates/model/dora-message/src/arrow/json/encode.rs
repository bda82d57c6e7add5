//! From an array to JSON.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
    util::display::{ArrayFormatter, FormatOptions},
};
use serde_json::{Map, Value};

/// The values and the type.
pub(super) fn encode(array: &ArrayRef) -> Result<(Value, Value), String> {
    let data_type = serde_json::to_value(array.data_type()).map_err(|error| error.to_string())?;
    Ok((Value::Array(values(array)?), data_type))
}

fn values(array: &dyn Array) -> Result<Vec<Value>, String> {
    macro_rules! numbers {
        ($arrow:ty) => {
            array.as_primitive::<$arrow>().iter().map(Value::from).collect()
        };
    }
    Ok(match array.data_type() {
        DataType::Null => vec![Value::Null; array.len()],
        DataType::Boolean => array.as_boolean().iter().map(Value::from).collect(),
        DataType::UInt8 => numbers!(UInt8Type),
        DataType::UInt16 => numbers!(UInt16Type),
        DataType::UInt32 => numbers!(UInt32Type),
        DataType::UInt64 => numbers!(UInt64Type),
        DataType::Int8 => numbers!(Int8Type),
        DataType::Int16 => numbers!(Int16Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Int64 => numbers!(Int64Type),
        DataType::Float16 => array.as_primitive::<Float16Type>().iter().map(|v| v.map(f32::from).into()).collect(),
        DataType::Float32 => numbers!(Float32Type),
        DataType::Float64 => numbers!(Float64Type),
        DataType::Utf8 => array.as_string::<i32>().iter().map(Value::from).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(Value::from).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(Value::from).collect(),
        DataType::Binary => array.as_binary::<i32>().iter().map(hexadecimal).collect(),
        DataType::LargeBinary => array.as_binary::<i64>().iter().map(hexadecimal).collect(),
        DataType::BinaryView => array.as_binary_view().iter().map(hexadecimal).collect(),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().iter().map(hexadecimal).collect(),
        DataType::List(_) => array.as_list::<i32>().iter().map(list).collect::<Result<_, _>>()?,
        DataType::LargeList(_) => array.as_list::<i64>().iter().map(list).collect::<Result<_, _>>()?,
        DataType::FixedSizeList(..) => array.as_fixed_size_list().iter().map(list).collect::<Result<_, _>>()?,
        DataType::Struct(_) => structs(array)?,
        // Then there are no keys either, which would be asked for in vain.
        DataType::Dictionary(..) if array.as_any_dictionary().values().is_empty() => vec![Value::Null; array.len()],
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let (words, keys) = (values(dictionary.values())?, dictionary.normalized_keys());
            let word = |(at, key): (usize, usize)| if array.is_null(at) { Value::Null } else { words[key].clone() };
            keys.into_iter().enumerate().map(word).collect()
        }
        _ => printed(array)?,
    })
}

fn hexadecimal(bytes: Option<&[u8]>) -> Value {
    bytes.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()).into()
}

fn list(items: Option<ArrayRef>) -> Result<Value, String> {
    Ok(match items {
        Some(items) => Value::Array(values(&items)?),
        None => Value::Null,
    })
}

fn structs(array: &dyn Array) -> Result<Vec<Value>, String> {
    let array = array.as_struct();
    let mut rows = vec![Map::new(); array.len()];
    for (name, column) in array.column_names().into_iter().zip(array.columns()) {
        for (row, value) in rows.iter_mut().zip(values(column)?) {
            if !value.is_null() {
                row.insert(name.to_owned(), value);
            }
        }
    }
    let row = |(at, row)| if array.is_null(at) { Value::Null } else { Value::Object(row) };
    Ok(rows.into_iter().enumerate().map(row).collect())
}

fn printed(array: &dyn Array) -> Result<Vec<Value>, String> {
    let options = FormatOptions::new().with_display_error(false);
    let formatter = ArrayFormatter::try_new(array, &options).map_err(|error| error.to_string())?;
    let value = |at| {
        if array.is_null(at) {
            return Ok(Value::Null);
        }
        formatter.value(at).try_to_string().map(Value::from).map_err(|error| error.to_string())
    };
    (0..array.len()).map(value).collect()
}
