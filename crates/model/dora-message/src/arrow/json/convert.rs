//! Values of types that JSON does not have: other widths, dates, times, decimals, dictionaries.
//!
//! Arrow's own conversions can make everything of everything, and are larger than all of dora; here is what is written by
//! [`encode`](super::encode).

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, BinaryViewArray, DictionaryArray, FixedSizeBinaryBuilder,
        LargeBinaryArray, LargeStringArray, PrimitiveArray, StringViewArray,
    },
    compute::kernels::cast_utils::{Parser, parse_decimal},
    datatypes::{
        ArrowDictionaryKeyType, ArrowNativeType, DataType, Date32Type, Date64Type, Decimal128Type, Decimal256Type,
        DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type,
        Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
        Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use half::f16;
use serde_json::Value;

use super::decode::{array, bytes, each, numbers};

/// The values as an array of a type that JSON does not have.
pub(super) fn converted(values: &[&Value], data_type: &DataType) -> Result<ArrayRef, String> {
    Ok(match data_type {
        DataType::Float16 => numbers::<Float16Type>(values, |value| value.as_f64().map(f16::from_f64))?,
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(each(values, data_type, Value::as_str)?)),
        DataType::Utf8View => Arc::new(StringViewArray::from(each(values, data_type, Value::as_str)?)),
        DataType::LargeBinary => Arc::new(each(values, data_type, bytes)?.into_iter().collect::<LargeBinaryArray>()),
        DataType::BinaryView => Arc::new(each(values, data_type, bytes)?.into_iter().collect::<BinaryViewArray>()),
        DataType::FixedSizeBinary(size) => fixed_size_binary(values, data_type, *size)?,
        DataType::Date32 => moments::<Date32Type>(values, data_type)?,
        DataType::Date64 => moments::<Date64Type>(values, data_type)?,
        DataType::Time32(TimeUnit::Second) => moments::<Time32SecondType>(values, data_type)?,
        DataType::Time32(TimeUnit::Millisecond) => moments::<Time32MillisecondType>(values, data_type)?,
        DataType::Time64(TimeUnit::Microsecond) => moments::<Time64MicrosecondType>(values, data_type)?,
        DataType::Time64(TimeUnit::Nanosecond) => moments::<Time64NanosecondType>(values, data_type)?,
        DataType::Timestamp(TimeUnit::Second, _) => moments::<TimestampSecondType>(values, data_type)?,
        DataType::Timestamp(TimeUnit::Millisecond, _) => moments::<TimestampMillisecondType>(values, data_type)?,
        DataType::Timestamp(TimeUnit::Microsecond, _) => moments::<TimestampMicrosecondType>(values, data_type)?,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => moments::<TimestampNanosecondType>(values, data_type)?,
        DataType::Duration(TimeUnit::Second) => numbers::<DurationSecondType>(values, Value::as_i64)?,
        DataType::Duration(TimeUnit::Millisecond) => numbers::<DurationMillisecondType>(values, Value::as_i64)?,
        DataType::Duration(TimeUnit::Microsecond) => numbers::<DurationMicrosecondType>(values, Value::as_i64)?,
        DataType::Duration(TimeUnit::Nanosecond) => numbers::<DurationNanosecondType>(values, Value::as_i64)?,
        DataType::Decimal128(precision, scale) => {
            let read = |text: &str| parse_decimal::<Decimal128Type>(text, *precision, *scale).ok();
            typed(numbers::<Decimal128Type>(values, |value| read(&text_of(value)?))?, data_type)?
        }
        DataType::Decimal256(precision, scale) => {
            let read = |text: &str| parse_decimal::<Decimal256Type>(text, *precision, *scale).ok();
            typed(numbers::<Decimal256Type>(values, |value| read(&text_of(value)?))?, data_type)?
        }
        DataType::Dictionary(key, value) => dictionary(key, array(values, value)?)?,
        other => return Err(format!("values of type {other} cannot be made of JSON")),
    })
}

/// Numbers as they are, texts as Arrow reads them.
fn moments<T: ArrowPrimitiveType + Parser>(values: &[&Value], data_type: &DataType) -> Result<ArrayRef, String>
where
    T::Native: TryFrom<i64>,
{
    let read = |value: &Value| match value.as_str() {
        Some(text) => T::parse(text),
        None => value.as_i64()?.try_into().ok(),
    };
    let plain = PrimitiveArray::<T>::from_iter(each(values, data_type, read)?);
    typed(Arc::new(plain), data_type)
}

/// The same values under a type that differs in what is said about them: a time zone, a precision.
fn typed(plain: ArrayRef, data_type: &DataType) -> Result<ArrayRef, String> {
    let data = plain.to_data().into_builder().data_type(data_type.clone());
    data.build().map(arrow::array::make_array).map_err(|error| error.to_string())
}

/// A number or a text, as text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn fixed_size_binary(values: &[&Value], data_type: &DataType, size: i32) -> Result<ArrayRef, String> {
    let wanted = usize::try_from(size).map_err(|_| format!("{size} bytes is no size"))?;
    let mut builder = FixedSizeBinaryBuilder::with_capacity(values.len(), size);
    for item in each(values, data_type, |value| bytes(value).filter(|bytes| bytes.len() == wanted))? {
        match item {
            Some(item) => builder.append_value(item).map_err(|error| error.to_string())?,
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// Each value as a word of its own.
fn dictionary(key: &DataType, words: ArrayRef) -> Result<ArrayRef, String> {
    match key {
        DataType::Int8 => keyed::<Int8Type>(words),
        DataType::Int16 => keyed::<Int16Type>(words),
        DataType::Int32 => keyed::<Int32Type>(words),
        DataType::Int64 => keyed::<Int64Type>(words),
        DataType::UInt8 => keyed::<UInt8Type>(words),
        DataType::UInt16 => keyed::<UInt16Type>(words),
        DataType::UInt32 => keyed::<UInt32Type>(words),
        DataType::UInt64 => keyed::<UInt64Type>(words),
        other => Err(format!("{other} cannot be the keys of a dictionary")),
    }
}

fn keyed<K: ArrowDictionaryKeyType>(words: ArrayRef) -> Result<ArrayRef, String> {
    let key = |at: usize| match words.is_null(at) {
        true => Ok(None),
        false => K::Native::from_usize(at).map(Some).ok_or_else(|| format!("more than {at} words")),
    };
    let keys = (0..words.len()).map(key).collect::<Result<Vec<_>, _>>()?;
    let dictionary = DictionaryArray::<K>::try_new(PrimitiveArray::from_iter(keys), words);
    dictionary.map(|it| Arc::new(it) as ArrayRef).map_err(|error| error.to_string())
}
