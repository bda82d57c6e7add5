//! The type of values that come without one.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{DataType, Field, Fields};
use serde_json::Value;

/// The narrowest of the usual types that holds all values: `Int64`, `UInt64`, `Float64`, `Boolean`, `Utf8`, lists and
/// structs of these; `Null` if there is nothing but nulls.
pub(super) fn infer(values: &[&Value]) -> Result<DataType, String> {
    values.iter().try_fold(DataType::Null, |so_far, value| join(so_far, of(value)?))
}

fn of(value: &Value) -> Result<DataType, String> {
    Ok(match value {
        Value::Null => DataType::Null,
        Value::Bool(_) => DataType::Boolean,
        Value::Number(number) if number.is_i64() => DataType::Int64,
        Value::Number(number) if number.is_u64() => DataType::UInt64,
        Value::Number(_) => DataType::Float64,
        Value::String(_) => DataType::Utf8,
        Value::Array(items) => {
            DataType::List(Arc::new(Field::new_list_field(infer(&items.iter().collect::<Vec<_>>())?, true)))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| Ok(Field::new(name, of(value)?, true));
            DataType::Struct(fields.iter().map(field).collect::<Result<Fields, String>>()?)
        }
    })
}

fn join(a: DataType, b: DataType) -> Result<DataType, String> {
    use DataType::{Float64, Int64, List, Null, Struct, UInt64};
    Ok(match (a, b) {
        (Null, other) | (other, Null) => other,
        (a, b) if a == b => a,
        (Int64 | UInt64 | Float64, Float64) | (Float64, Int64 | UInt64) => Float64,
        (Int64, UInt64) | (UInt64, Int64) => UInt64,
        (List(a), List(b)) => {
            List(Arc::new(Field::new_list_field(join(a.data_type().clone(), b.data_type().clone())?, true)))
        }
        (Struct(a), Struct(b)) => {
            let mut types = BTreeMap::new();
            for field in a.iter().chain(&b) {
                let known = types.remove(field.name()).unwrap_or(Null);
                types.insert(field.name(), join(known, field.data_type().clone())?);
            }
            Struct(types.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect())
        }
        (a, b) => {
            return Err(format!("values of types {a} and {b} do not go together; say which `data_type` is meant"));
        }
    })
}
