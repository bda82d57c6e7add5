//! Which Rust values become which Arrow array.

use std::sync::Arc;

use arrow::{
    array::{
        Array, BooleanArray, Date64Array, LargeStringArray, NullArray, OffsetSizeTrait, PrimitiveArray, StringArray,
        Time64NanosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    },
    buffer::{Buffer, OffsetBuffer},
    datatypes::{
        Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::{DoraArray, IntoArrow};

fn wrap(array: impl Array + 'static) -> DoraArray {
    DoraArray(Arc::new(array))
}

/// The offsets of a `Utf8` array hold texts of this many bytes together; longer ones become `LargeUtf8`.
const UTF8_LIMIT: usize = i32::MAX as usize;

macro_rules! numbers {
    ($($native:ty => $arrow:ty),* $(,)?) => {$(
        impl IntoArrow for $native {
            fn into_arrow(self) -> DoraArray {
                wrap(PrimitiveArray::<$arrow>::new(vec![self].into(), None))
            }
        }
        impl IntoArrow for Vec<$native> {
            /// The vector's memory becomes the array's: no copy.
            fn into_arrow(self) -> DoraArray {
                wrap(PrimitiveArray::<$arrow>::new(self.into(), None))
            }
        }
    )*};
}

numbers! {
    u8 => UInt8Type, u16 => UInt16Type, u32 => UInt32Type, u64 => UInt64Type,
    i8 => Int8Type, i16 => Int16Type, i32 => Int32Type, i64 => Int64Type,
    half::f16 => Float16Type, f32 => Float32Type, f64 => Float64Type,
}

impl IntoArrow for bool {
    fn into_arrow(self) -> DoraArray {
        wrap(BooleanArray::from(vec![self]))
    }
}

impl IntoArrow for Vec<bool> {
    fn into_arrow(self) -> DoraArray {
        wrap(BooleanArray::from(self))
    }
}

impl IntoArrow for &str {
    fn into_arrow(self) -> DoraArray {
        self.to_owned().into_arrow()
    }
}

impl IntoArrow for String {
    /// A `Utf8` array, or `LargeUtf8` from 2 GiB on. The text's memory becomes the array's: no copy.
    fn into_arrow(self) -> DoraArray {
        if self.len() <= UTF8_LIMIT { text::<i32>(self) } else { text::<i64>(self) }
    }
}

fn text<O: OffsetSizeTrait>(text: String) -> DoraArray {
    let offsets = OffsetBuffer::<O>::from_lengths([text.len()]);
    wrap(arrow::array::GenericStringArray::new(offsets, Buffer::from_vec(text.into_bytes()), None))
}

impl IntoArrow for Vec<String> {
    /// A `Utf8` array, or `LargeUtf8` if the texts have 2 GiB or more together.
    fn into_arrow(self) -> DoraArray {
        if self.iter().map(String::len).sum::<usize>() <= UTF8_LIMIT {
            wrap(StringArray::from_iter_values(self))
        } else {
            wrap(LargeStringArray::from_iter_values(self))
        }
    }
}

impl IntoArrow for () {
    fn into_arrow(self) -> DoraArray {
        wrap(NullArray::new(0))
    }
}

impl IntoArrow for NaiveDate {
    /// A `Date64` array, as existing nodes expect.
    fn into_arrow(self) -> DoraArray {
        wrap(Date64Array::from(vec![Date64Type::from_naive_date(self)]))
    }
}

impl IntoArrow for NaiveTime {
    fn into_arrow(self) -> DoraArray {
        let ns = i64::from(self.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(self.nanosecond());
        wrap(Time64NanosecondArray::from(vec![ns]))
    }
}

impl IntoArrow for NaiveDateTime {
    /// A timestamp in nanoseconds, or, where these do not fit 64 bits (before 1677, after 2262), in microseconds.
    fn into_arrow(self) -> DoraArray {
        let utc = self.and_utc();
        match utc.timestamp_nanos_opt() {
            Some(ns) => wrap(TimestampNanosecondArray::from(vec![ns])),
            None => wrap(TimestampMicrosecondArray::from(vec![utc.timestamp_micros()])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, TimeUnit};

    #[test]
    fn texts_are_not_copied() {
        let text = "hello".repeat(100);
        let address = text.as_ptr();
        let data = text.into_arrow();
        assert_eq!(<&str>::try_from(&data).map(str::as_ptr).ok(), Some(address));
    }

    #[test]
    fn values_become_arrays_of_length_1_and_nothing_an_empty_one() {
        let cases = [
            (7u8.into_arrow(), DataType::UInt8, 1),
            (half::f16::ONE.into_arrow(), DataType::Float16, 1),
            (true.into_arrow(), DataType::Boolean, 1),
            ("".into_arrow(), DataType::Utf8, 1),
            (vec!["a".to_owned(), "b".to_owned()].into_arrow(), DataType::Utf8, 2),
            (Vec::<f64>::new().into_arrow(), DataType::Float64, 0),
            (().into_arrow(), DataType::Null, 0),
            (NaiveDate::default().into_arrow(), DataType::Date64, 1),
            (NaiveTime::default().into_arrow(), DataType::Time64(TimeUnit::Nanosecond), 1),
        ];
        for (array, data_type, len) in cases {
            assert_eq!((array.0.data_type(), array.len()), (&data_type, len));
            assert_eq!(array.null_count(), 0);
        }
    }

    #[test]
    fn moments_beyond_the_range_of_nanoseconds_keep_their_microseconds() {
        for year in [1000, 2024, 9999] {
            let moment = NaiveDate::from_ymd_opt(year, 2, 3).and_then(|day| day.and_hms_micro_opt(4, 5, 6, 7));
            let data = moment.unwrap_or_default().into_arrow();
            assert_eq!(NaiveDateTime::try_from(&data).ok(), moment);
        }
    }
}
