//! From JSON to an array.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, FixedSizeListArray, LargeListArray, ListArray,
        NullArray, PrimitiveArray, StringArray, StructArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{
        DataType, FieldRef, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
};
use serde_json::{Value, json};

use super::{convert::converted, infer::infer};

/// The array of a list of values, or of one value. Without a type it is guessed.
pub(super) fn decode(data: &Value, data_type: Option<&Value>) -> Result<ArrayRef, String> {
    let values: Vec<&Value> = match data {
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    };
    let data_type = match data_type {
        Some(json) => {
            let complete = with_field_defaults(json.clone());
            serde_json::from_value(complete).map_err(|error| format!("`data_type` {json}: {error}"))?
        }
        None => infer(&values)?,
    };
    array(&values, &data_type)
}

/// Arrow wants every key of a field (`{"name": ..., "data_type": ...}`), people do not want to write them.
fn with_field_defaults(mut json: Value) -> Value {
    if let Value::Object(field) = &mut json
        && field.contains_key("data_type")
    {
        let defaults =
            json!({ "name": "item", "nullable": true, "dict_id": 0, "dict_is_ordered": false, "metadata": {} });
        for (key, value) in defaults.as_object().into_iter().flatten() {
            field.entry(key).or_insert_with(|| value.clone());
        }
    }
    match json {
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, with_field_defaults(value))).collect(),
        Value::Array(items) => items.into_iter().map(with_field_defaults).collect(),
        other => other,
    }
}

/// Each value through `read`, null as null.
pub(super) fn each<'a, T>(
    values: &[&'a Value],
    expected: &DataType,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Vec<Option<T>>, String> {
    let one = |(at, value): (usize, &&'a Value)| match *value {
        Value::Null => Ok(None),
        value => read(value).map(Some).ok_or_else(|| format!("value {at}: expected {expected}, found {value}")),
    };
    values.iter().enumerate().map(one).collect()
}

pub(super) fn numbers<T: ArrowPrimitiveType>(
    values: &[&Value],
    read: impl Fn(&Value) -> Option<T::Native>,
) -> Result<ArrayRef, String> {
    Ok(Arc::new(PrimitiveArray::<T>::from_iter(each(values, &T::DATA_TYPE, read)?)))
}

fn unsigned<N: TryFrom<u64>>(value: &Value) -> Option<N> {
    value.as_u64()?.try_into().ok()
}

fn signed<N: TryFrom<i64>>(value: &Value) -> Option<N> {
    value.as_i64()?.try_into().ok()
}

/// The values as an array of this type.
pub(super) fn array(values: &[&Value], data_type: &DataType) -> Result<ArrayRef, String> {
    Ok(match data_type {
        DataType::Null => {
            each(values, data_type, |_| None::<()>)?;
            Arc::new(NullArray::new(values.len()))
        }
        DataType::Boolean => Arc::new(BooleanArray::from(each(values, data_type, Value::as_bool)?)),
        DataType::UInt8 => numbers::<UInt8Type>(values, unsigned)?,
        DataType::UInt16 => numbers::<UInt16Type>(values, unsigned)?,
        DataType::UInt32 => numbers::<UInt32Type>(values, unsigned)?,
        DataType::UInt64 => numbers::<UInt64Type>(values, unsigned)?,
        DataType::Int8 => numbers::<Int8Type>(values, signed)?,
        DataType::Int16 => numbers::<Int16Type>(values, signed)?,
        DataType::Int32 => numbers::<Int32Type>(values, signed)?,
        DataType::Int64 => numbers::<Int64Type>(values, signed)?,
        DataType::Float32 => numbers::<Float32Type>(values, |value| value.as_f64().map(|number| number as f32))?,
        DataType::Float64 => numbers::<Float64Type>(values, Value::as_f64)?,
        DataType::Utf8 => Arc::new(StringArray::from(each(values, data_type, Value::as_str)?)),
        DataType::Binary => Arc::new(each(values, data_type, bytes)?.into_iter().collect::<BinaryArray>()),
        DataType::List(item) => {
            let (items, lengths, nulls) = lists(values, data_type, item)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            arrow(ListArray::try_new(item.clone(), offsets, items, nulls))?
        }
        DataType::LargeList(item) => {
            let (items, lengths, nulls) = lists(values, data_type, item)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            arrow(LargeListArray::try_new(item.clone(), offsets, items, nulls))?
        }
        DataType::FixedSizeList(item, size) => fixed_size_lists(values, data_type, item, *size)?,
        DataType::Struct(fields) => structs(values, data_type, fields)?,
        other => converted(values, other)?,
    })
}

fn arrow<A: Array + 'static>(array: Result<A, arrow::error::ArrowError>) -> Result<ArrayRef, String> {
    array.map(|array| Arc::new(array) as ArrayRef).map_err(|error| error.to_string())
}

/// Two hexadecimal digits per byte, or a list of numbers.
pub(super) fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Array(numbers) => numbers.iter().map(unsigned).collect(),
        value => {
            let text = value.as_str()?;
            let digits: Option<Vec<_>> = text.chars().map(|digit| digit.to_digit(16)).collect();
            let pairs = digits.filter(|digits| digits.len().is_multiple_of(2))?;
            Some(pairs.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
        }
    }
}

type Lists = (ArrayRef, Vec<usize>, Option<NullBuffer>);

fn lists(values: &[&Value], data_type: &DataType, item: &FieldRef) -> Result<Lists, String> {
    let lists = each(values, data_type, |value| value.as_array().cloned())?;
    let nulls = NullBuffer::from_iter(lists.iter().map(Option::is_some));
    let lengths = lists.iter().map(|list| list.as_ref().map_or(0, Vec::len)).collect();
    let items: Vec<_> = lists.iter().flatten().flatten().collect();
    let items = array(&items, item.data_type()).map_err(|error| format!("in the lists: {error}"))?;
    Ok((items, lengths, Some(nulls).filter(|nulls| nulls.null_count() > 0)))
}

fn fixed_size_lists(values: &[&Value], data_type: &DataType, item: &FieldRef, size: i32) -> Result<ArrayRef, String> {
    let expected = usize::try_from(size).map_err(|_| format!("a list of {size} items"))?;
    let absent = vec![Value::Null; expected];
    let lists = each(values, data_type, |value| value.as_array().filter(|list| list.len() == expected).cloned())?;
    let nulls = NullBuffer::from_iter(lists.iter().map(Option::is_some));
    let items: Vec<_> = lists.iter().flat_map(|list| list.as_ref().unwrap_or(&absent)).collect();
    let items = array(&items, item.data_type()).map_err(|error| format!("in the lists: {error}"))?;
    arrow(FixedSizeListArray::try_new(item.clone(), size, items, Some(nulls).filter(|nulls| nulls.null_count() > 0)))
}

fn structs(values: &[&Value], data_type: &DataType, fields: &Fields) -> Result<ArrayRef, String> {
    let rows = each(values, data_type, |value| value.as_object().cloned())?;
    let nulls = NullBuffer::from_iter(rows.iter().map(Option::is_some));
    let column = |field: &FieldRef| {
        let cell = |row: &Option<serde_json::Map<_, _>>| row.as_ref().and_then(|row| row.get(field.name()).cloned());
        let cells: Vec<Value> = rows.iter().map(|row| cell(row).unwrap_or_default()).collect();
        let cells: Vec<&Value> = cells.iter().collect();
        array(&cells, field.data_type()).map_err(|error| format!("in field `{}`: {error}", field.name()))
    };
    let columns = fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
    arrow(StructArray::try_new_with_length(fields.clone(), columns, nulls, values.len()))
}
