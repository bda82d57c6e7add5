//! Arrow arrays back to Rust values. Each error says what was found and what would fit.

use arrow::{
    array::{Array, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray},
    datatypes::{
        DataType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
        Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use eyre::{Report, Result, bail, eyre};
use num_traits::NumCast;

use crate::DoraArray;

fn unexpected(data: &DoraArray, wanted: &str) -> Report {
    eyre!("expected {wanted}, got an array of {} with {} values", data.type_name(), data.len())
}

/// The only value of an array of length 1 without nulls.
fn single<'a, A: Array>(data: &DoraArray, array: Option<&'a A>, wanted: &str) -> Result<&'a A> {
    let array = array.ok_or_else(|| unexpected(data, wanted))?;
    if array.len() != 1 {
        bail!("expected exactly one value of {wanted}, got {}", array.len());
    }
    if array.null_count() != 0 {
        bail!("expected a value of {wanted}, got null");
    }
    Ok(array)
}

fn without_nulls<'a, T: ArrowPrimitiveType>(data: &'a DoraArray, wanted: &str) -> Result<&'a PrimitiveArray<T>> {
    let array = data.as_primitive_opt::<T>().ok_or_else(|| unexpected(data, wanted))?;
    if array.null_count() != 0 {
        bail!("expected {wanted} without nulls, got {} nulls among {} values", array.null_count(), array.len());
    }
    Ok(array)
}

macro_rules! numbers {
    ($($native:ty => $arrow:ty),* $(,)?) => {$(
        impl TryFrom<&DoraArray> for $native {
            type Error = Report;
            fn try_from(data: &DoraArray) -> Result<Self> {
                Ok(single(data, data.as_primitive_opt::<$arrow>(), stringify!($native))?.value(0))
            }
        }
        impl<'a> TryFrom<&'a DoraArray> for &'a [$native] {
            type Error = Report;
            /// The values themselves, not a copy.
            fn try_from(data: &'a DoraArray) -> Result<Self> {
                Ok(without_nulls::<$arrow>(data, concat!("values of ", stringify!($native)))?.values())
            }
        }
        impl TryFrom<&DoraArray> for Vec<$native> {
            type Error = Report;
            fn try_from(data: &DoraArray) -> Result<Self> {
                <&[$native]>::try_from(data).map(<[$native]>::to_vec)
            }
        }
    )*};
}

numbers! {
    u8 => UInt8Type, u16 => UInt16Type, u32 => UInt32Type, u64 => UInt64Type,
    i8 => Int8Type, i16 => Int16Type, i32 => Int32Type, i64 => Int64Type,
    half::f16 => Float16Type, f32 => Float32Type, f64 => Float64Type,
}

impl TryFrom<&DoraArray> for bool {
    type Error = Report;
    fn try_from(data: &DoraArray) -> Result<Self> {
        Ok(single::<BooleanArray>(data, data.as_boolean_opt(), "bool")?.value(0))
    }
}

impl<'a> TryFrom<&'a DoraArray> for &'a str {
    type Error = Report;
    fn try_from(data: &'a DoraArray) -> Result<Self> {
        match data.data_type() {
            DataType::LargeUtf8 => Ok(single(data, data.as_string_opt::<i64>(), "text")?.value(0)),
            DataType::Utf8View => Ok(single(data, data.as_string_view_opt(), "text")?.value(0)),
            _ => Ok(single(data, data.as_string_opt::<i32>(), "text")?.value(0)),
        }
    }
}

impl TryFrom<&DoraArray> for String {
    type Error = Report;
    fn try_from(data: &DoraArray) -> Result<Self> {
        <&str>::try_from(data).map(str::to_owned)
    }
}

fn out_of_range(data: &DoraArray) -> Report {
    eyre!("the value of type {} is out of the calendar's range", data.type_name())
}

macro_rules! moments {
    ($native:ty, $wanted:literal, $method:ident, { $($pattern:pat => $arrow:ty),* $(,)? }) => {
        impl TryFrom<&DoraArray> for $native {
            type Error = Report;
            fn try_from(data: &DoraArray) -> Result<Self> {
                match data.data_type() {
                    $($pattern => single(data, data.as_primitive_opt::<$arrow>(), $wanted)?
                        .$method(0)
                        .ok_or_else(|| out_of_range(data)),)*
                    _ => Err(unexpected(data, $wanted)),
                }
            }
        }
    };
}

moments!(NaiveDate, "a date", value_as_date, {
    DataType::Date32 => Date32Type,
    DataType::Date64 => Date64Type,
});
moments!(NaiveTime, "a time of day", value_as_time, {
    DataType::Time32(TimeUnit::Second) => Time32SecondType,
    DataType::Time32(_) => Time32MillisecondType,
    DataType::Time64(TimeUnit::Microsecond) => Time64MicrosecondType,
    DataType::Time64(_) => Time64NanosecondType,
});
moments!(NaiveDateTime, "a date with time", value_as_datetime, {
    DataType::Timestamp(TimeUnit::Second, _) => TimestampSecondType,
    DataType::Timestamp(TimeUnit::Millisecond, _) => TimestampMillisecondType,
    DataType::Timestamp(TimeUnit::Microsecond, _) => TimestampMicrosecondType,
    DataType::Timestamp(TimeUnit::Nanosecond, _) => TimestampNanosecondType,
});

/// All values of a numeric array as another numeric type.
///
/// ```
/// use dora_arrow_convert::{IntoArrow, into_vec};
/// assert_eq!(into_vec::<u8>(&vec![1.0f32, 200.0].into_arrow())?, [1, 200]);
/// assert!(into_vec::<u8>(&vec![300i32].into_arrow()).is_err());
/// # Ok::<(), eyre::Report>(())
/// ```
///
/// # Errors
/// If the array is not numeric, has nulls, or a value does not fit.
pub fn into_vec<T: Copy + NumCast + 'static>(data: &DoraArray) -> Result<Vec<T>> {
    fn cast<A: ArrowPrimitiveType, T: Copy + NumCast>(data: &DoraArray) -> Result<Vec<T>>
    where
        A::Native: num_traits::ToPrimitive,
    {
        let values = without_nulls::<A>(data, "numbers")?.values();
        let cast = |value: &A::Native| {
            T::from(*value).ok_or_else(|| eyre!("{value:?} does not fit {}", std::any::type_name::<T>()))
        };
        values.iter().map(cast).collect()
    }
    match data.data_type() {
        DataType::UInt8 => cast::<UInt8Type, T>(data),
        DataType::UInt16 => cast::<UInt16Type, T>(data),
        DataType::UInt32 => cast::<UInt32Type, T>(data),
        DataType::UInt64 => cast::<UInt64Type, T>(data),
        DataType::Int8 => cast::<Int8Type, T>(data),
        DataType::Int16 => cast::<Int16Type, T>(data),
        DataType::Int32 => cast::<Int32Type, T>(data),
        DataType::Int64 => cast::<Int64Type, T>(data),
        DataType::Float16 => cast::<Float16Type, T>(data),
        DataType::Float32 => cast::<Float32Type, T>(data),
        DataType::Float64 => cast::<Float64Type, T>(data),
        _ => Err(unexpected(data, "numbers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IntoArrow;

    #[test]
    fn values_come_back() -> Result<()> {
        assert_eq!(u64::try_from(&7u64.into_arrow())?, 7);
        assert_eq!(<&[f32]>::try_from(&vec![1.5f32, 2.5].into_arrow())?, [1.5, 2.5]);
        assert_eq!(Vec::<i8>::try_from(&vec![-1i8].into_arrow())?, [-1]);
        assert!(bool::try_from(&true.into_arrow())?);
        assert_eq!(String::try_from(&"hello".into_arrow())?, "hello");
        let date = NaiveDate::from_ymd_opt(2024, 2, 29).ok_or_else(|| eyre!("date"))?;
        assert_eq!(NaiveDate::try_from(&date.into_arrow())?, date);
        let time = NaiveTime::from_hms_nano_opt(23, 59, 58, 7).ok_or_else(|| eyre!("time"))?;
        assert_eq!(NaiveTime::try_from(&time.into_arrow())?, time);
        assert_eq!(NaiveDateTime::try_from(&date.and_time(time).into_arrow())?, date.and_time(time));
        Ok(())
    }

    #[test]
    fn mistakes_say_what_was_found() {
        let message = |error: Report| error.to_string();
        let data = vec![1u8, 2].into_arrow();
        assert_eq!(
            message(u64::try_from(&data).expect_err("wrong type")),
            "expected u64, got an array of UInt8 with 2 values"
        );
        assert_eq!(message(u8::try_from(&data).expect_err("two values")), "expected exactly one value of u8, got 2");
        let nulls = DoraArray(std::sync::Arc::new(arrow::array::UInt8Array::from(vec![None, Some(1)])));
        assert!(message(<&[u8]>::try_from(&nulls).expect_err("nulls")).contains("1 nulls among 2 values"));
        assert!(into_vec::<f32>(&"a".into_arrow()).is_err());
    }

    #[test]
    fn vectors_are_not_copied() {
        let values = vec![1u32; 1000];
        let address = values.as_ptr();
        let data = values.into_arrow();
        assert_eq!(<&[u32]>::try_from(&data).map(<[u32]>::as_ptr).ok(), Some(address));
    }

    #[test]
    fn names_of_0_x_construct_and_dereference() {
        let data = crate::ArrowData(std::sync::Arc::new(arrow::array::UInt8Array::from(vec![1])));
        assert_eq!(data.as_any().downcast_ref::<arrow::array::UInt8Array>().map(|a| a.value(0)), Some(1));
        assert_eq!(data.0.len(), 1);
    }
}
