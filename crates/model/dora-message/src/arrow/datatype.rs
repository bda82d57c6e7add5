//! Arrow types as bytes, field names and metadata included.
//!
//! Why not the flatbuffers of arrow-ipc: their conversion panics on types that are well-formed but invalid, and what a
//! receiver reads here comes from another process. Every type that is read back is one for which Arrow's constructors
//! hold: no negative sizes, no odd keys, no `Time32(Nanosecond)`.

use std::sync::Arc;

use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Field, FieldRef, Fields, IntervalUnit,
    TimeUnit, UnionFields, UnionMode, validate_decimal_precision_and_scale,
};

use super::{decode::DecodeError, layout::EncodeError};
use crate::wire::{Put, Reader};

const NULLABLE: u8 = 1;
const ORDERED_DICTIONARY: u8 = 2;

macro_rules! plain_types {
    ($($code:literal = $type:pat => $value:expr),* $(,)?) => {
        /// The code of a type that has no arguments.
        fn plain_code(data_type: &DataType) -> Option<u8> {
            use {DataType::*, IntervalUnit::*, TimeUnit::*};
            match data_type {
                $($type => Some($code),)*
                _ => None,
            }
        }

        fn plain_type(code: u8) -> Option<DataType> {
            use {DataType::*, IntervalUnit::*, TimeUnit::*};
            match code {
                $($code => Some($value),)*
                _ => None,
            }
        }
    };
}

// Codes are part of the protocol: never reuse one.
plain_types! {
    0 = Null => Null,
    1 = Boolean => Boolean,
    2 = Int8 => Int8,
    3 = Int16 => Int16,
    4 = Int32 => Int32,
    5 = Int64 => Int64,
    6 = UInt8 => UInt8,
    7 = UInt16 => UInt16,
    8 = UInt32 => UInt32,
    9 = UInt64 => UInt64,
    10 = Float16 => Float16,
    11 = Float32 => Float32,
    12 = Float64 => Float64,
    13 = Utf8 => Utf8,
    14 = LargeUtf8 => LargeUtf8,
    15 = Utf8View => Utf8View,
    16 = Binary => Binary,
    17 = LargeBinary => LargeBinary,
    18 = BinaryView => BinaryView,
    19 = Date32 => Date32,
    20 = Date64 => Date64,
    21 = Time32(Second) => Time32(Second),
    22 = Time32(Millisecond) => Time32(Millisecond),
    23 = Time64(Microsecond) => Time64(Microsecond),
    24 = Time64(Nanosecond) => Time64(Nanosecond),
    25 = Duration(Second) => Duration(Second),
    26 = Duration(Millisecond) => Duration(Millisecond),
    27 = Duration(Microsecond) => Duration(Microsecond),
    28 = Duration(Nanosecond) => Duration(Nanosecond),
    29 = Interval(YearMonth) => Interval(YearMonth),
    30 = Interval(DayTime) => Interval(DayTime),
    31 = Interval(MonthDayNano) => Interval(MonthDayNano),
}

const TIMESTAMP: u8 = 64;
const FIXED_SIZE_BINARY: u8 = 65;
const DECIMAL32: u8 = 66;
const DECIMAL64: u8 = 67;
const DECIMAL128: u8 = 68;
const DECIMAL256: u8 = 69;
const LIST: u8 = 70;
const LARGE_LIST: u8 = 71;
const LIST_VIEW: u8 = 72;
const LARGE_LIST_VIEW: u8 = 73;
const FIXED_SIZE_LIST: u8 = 74;
const STRUCT: u8 = 75;
const MAP: u8 = 76;
const SPARSE_UNION: u8 = 77;
const DENSE_UNION: u8 = 78;
const DICTIONARY: u8 = 79;
const RUN_END_ENCODED: u8 = 80;

/// Appends a type that nests at most `depth` levels.
pub(super) fn put(data_type: &DataType, depth: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let depth = depth.checked_sub(1).ok_or(EncodeError::TooDeep)?;
    let invalid = || EncodeError::InvalidType(data_type.clone());
    if let Some(code) = plain_code(data_type) {
        out.put_u8(code);
        return Ok(());
    }
    match data_type {
        DataType::Timestamp(unit, zone) => {
            out.put(&[TIMESTAMP, unit_code(*unit), u8::from(zone.is_some())]);
            out.put_bytes(zone.as_deref().unwrap_or_default().as_bytes());
        }
        DataType::FixedSizeBinary(width) => put_sized(FIXED_SIZE_BINARY, *width, out).ok_or_else(invalid)?,
        DataType::Decimal32(precision, scale) => out.put(&[DECIMAL32, *precision, *scale as u8]),
        DataType::Decimal64(precision, scale) => out.put(&[DECIMAL64, *precision, *scale as u8]),
        DataType::Decimal128(precision, scale) => out.put(&[DECIMAL128, *precision, *scale as u8]),
        DataType::Decimal256(precision, scale) => out.put(&[DECIMAL256, *precision, *scale as u8]),
        DataType::List(item) => put_of_field(LIST, item, depth, out)?,
        DataType::LargeList(item) => put_of_field(LARGE_LIST, item, depth, out)?,
        DataType::ListView(item) => put_of_field(LIST_VIEW, item, depth, out)?,
        DataType::LargeListView(item) => put_of_field(LARGE_LIST_VIEW, item, depth, out)?,
        DataType::FixedSizeList(item, size) => {
            put_sized(FIXED_SIZE_LIST, *size, out).ok_or_else(invalid)?;
            put_field(item, depth, out)?;
        }
        DataType::Struct(fields) => {
            out.put_u8(STRUCT);
            out.put_varint(fields.len() as u64);
            fields.iter().try_for_each(|field| put_field(field, depth, out))?;
        }
        DataType::Map(entries, sorted) => {
            out.put(&[MAP, u8::from(*sorted)]);
            put_field(entries, depth, out)?;
        }
        DataType::Union(fields, mode) => {
            out.put_u8(if *mode == UnionMode::Sparse { SPARSE_UNION } else { DENSE_UNION });
            out.put_varint(fields.len() as u64);
            for (id, field) in fields.iter() {
                out.put_u8(id as u8);
                put_field(field, depth, out)?;
            }
        }
        DataType::Dictionary(key, value) => {
            out.put_u8(DICTIONARY);
            put(key, depth, out)?;
            put(value, depth, out)?;
        }
        DataType::RunEndEncoded(ends, values) => {
            out.put_u8(RUN_END_ENCODED);
            put_field(ends, depth, out)?;
            put_field(values, depth, out)?;
        }
        _ => return Err(invalid()),
    }
    Ok(())
}

fn put_of_field(code: u8, item: &Field, depth: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.put_u8(code);
    put_field(item, depth, out)
}

fn put_sized(code: u8, size: i32, out: &mut Vec<u8>) -> Option<()> {
    out.put_u8(code);
    out.put_varint(u64::try_from(size).ok()?);
    Some(())
}

fn put_field(field: &Field, depth: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let nullable = if field.is_nullable() { NULLABLE } else { 0 };
    let ordered = if field.dict_is_ordered() == Some(true) { ORDERED_DICTIONARY } else { 0 };
    out.put_u8(nullable | ordered);
    out.put_bytes(field.name().as_bytes());
    out.put_varint(field.metadata().len() as u64);
    for (key, value) in field.metadata() {
        out.put_bytes(key.as_bytes());
        out.put_bytes(value.as_bytes());
    }
    put(field.data_type(), depth, out)
}

/// Reads a type that nests at most `depth` levels.
pub(super) fn read(reader: &mut Reader<'_>, depth: usize) -> Result<DataType, DecodeError> {
    let depth = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
    let code = reader.u8()?;
    if let Some(plain) = plain_type(code) {
        return Ok(plain);
    }
    Ok(match code {
        TIMESTAMP => {
            let (unit, zoned, zone) = (unit(reader.u8()?)?, reader.u8()? != 0, text(reader)?);
            DataType::Timestamp(unit, zoned.then(|| zone.into()))
        }
        FIXED_SIZE_BINARY => DataType::FixedSizeBinary(size(reader)?),
        DECIMAL32..=DECIMAL256 => decimal(code, reader.u8()?, reader.u8()? as i8)?,
        LIST => DataType::List(field(reader, depth)?),
        LARGE_LIST => DataType::LargeList(field(reader, depth)?),
        LIST_VIEW => DataType::ListView(field(reader, depth)?),
        LARGE_LIST_VIEW => DataType::LargeListView(field(reader, depth)?),
        FIXED_SIZE_LIST => {
            let size = size(reader)?;
            DataType::FixedSizeList(field(reader, depth)?, size)
        }
        STRUCT => {
            let count = count(reader)?;
            DataType::Struct((0..count).map(|_| field(reader, depth)).collect::<Result<Fields, _>>()?)
        }
        MAP => {
            let sorted = reader.u8()? != 0;
            DataType::Map(field(reader, depth)?, sorted)
        }
        SPARSE_UNION => DataType::Union(union_fields(reader, depth)?, UnionMode::Sparse),
        DENSE_UNION => DataType::Union(union_fields(reader, depth)?, UnionMode::Dense),
        DICTIONARY => {
            let key = read(reader, depth)?;
            if !key.is_dictionary_key_type() {
                return Err(DecodeError::Type("a dictionary key that is no integer"));
            }
            DataType::Dictionary(Box::new(key), Box::new(read(reader, depth)?))
        }
        RUN_END_ENCODED => {
            let ends = field(reader, depth)?;
            if !ends.data_type().is_run_ends_type() || ends.is_nullable() {
                return Err(DecodeError::Type("run ends that are not 16, 32 or 64 bit integers"));
            }
            DataType::RunEndEncoded(ends, field(reader, depth)?)
        }
        _ => return Err(DecodeError::Type("an unknown type code")),
    })
}

fn field(reader: &mut Reader<'_>, depth: usize) -> Result<FieldRef, DecodeError> {
    let flags = reader.u8()?;
    let name = text(reader)?;
    let metadata = (0..count(reader)?).map(|_| Ok((text(reader)?.to_owned(), text(reader)?.to_owned())));
    let metadata = metadata.collect::<Result<std::collections::HashMap<_, _>, DecodeError>>()?;
    let field = Field::new(name, read(reader, depth)?, flags & NULLABLE != 0)
        .with_metadata(metadata)
        .with_dict_is_ordered(flags & ORDERED_DICTIONARY != 0);
    Ok(Arc::new(field))
}

fn union_fields(reader: &mut Reader<'_>, depth: usize) -> Result<UnionFields, DecodeError> {
    let fields = (0..count(reader)?).map(|_| Ok((reader.u8()? as i8, field(reader, depth)?)));
    let (ids, fields): (Vec<_>, Vec<_>) = fields.collect::<Result<Vec<_>, DecodeError>>()?.into_iter().unzip();
    Ok(UnionFields::try_new(ids, fields)?)
}

fn decimal(code: u8, precision: u8, scale: i8) -> Result<DataType, DecodeError> {
    Ok(match code {
        DECIMAL32 => {
            validate_decimal_precision_and_scale::<Decimal32Type>(precision, scale)?;
            DataType::Decimal32(precision, scale)
        }
        DECIMAL64 => {
            validate_decimal_precision_and_scale::<Decimal64Type>(precision, scale)?;
            DataType::Decimal64(precision, scale)
        }
        DECIMAL128 => {
            validate_decimal_precision_and_scale::<Decimal128Type>(precision, scale)?;
            DataType::Decimal128(precision, scale)
        }
        _ => {
            validate_decimal_precision_and_scale::<Decimal256Type>(precision, scale)?;
            DataType::Decimal256(precision, scale)
        }
    })
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(reader.bytes()?).map_err(|_| DecodeError::Type("a name that is not UTF-8"))
}

fn size(reader: &mut Reader<'_>) -> Result<i32, DecodeError> {
    i32::try_from(reader.varint()?).map_err(|_| DecodeError::Type("a size beyond 2 GiB"))
}

/// A number of things that take at least a byte each: more than there are bytes left is a lie.
fn count(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let count = reader.size()?;
    if count > reader.remaining() { Err(crate::wire::Truncated.into()) } else { Ok(count) }
}

const fn unit_code(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

const fn unit(code: u8) -> Result<TimeUnit, DecodeError> {
    match code {
        0 => Ok(TimeUnit::Second),
        1 => Ok(TimeUnit::Millisecond),
        2 => Ok(TimeUnit::Microsecond),
        3 => Ok(TimeUnit::Nanosecond),
        _ => Err(DecodeError::Type("an unknown time unit")),
    }
}
