//! Rust values into parameters (`From`) and out of them (`TryFrom<&Parameter>`).

use chrono::{DateTime, Utc};

use super::Parameter;

/// A parameter holds another type than the one asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct TryFromParameterError {
    /// What was asked for.
    pub expected: &'static str,
    /// What the parameter holds.
    pub found: &'static str,
}

macro_rules! parameter_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Parameter {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
parameter_from! {
    bool => Bool,
    i64 => Integer, i32 => Integer, i16 => Integer, i8 => Integer, u32 => Integer, u16 => Integer, u8 => Integer,
    f64 => Float, f32 => Float,
    String => String, &str => String,
    DateTime<Utc> => Timestamp,
    Vec<i64> => ListInt, &[i64] => ListInt,
    Vec<f64> => ListFloat, &[f64] => ListFloat,
    Vec<String> => ListString, &[String] => ListString,
}

macro_rules! parameter_into {
    ($($into:ty = $expected:literal: $variant:ident($value:ident) => $result:expr),* $(,)?) => {$(
        impl<'a> TryFrom<&'a Parameter> for $into {
            type Error = TryFromParameterError;
            fn try_from(parameter: &'a Parameter) -> Result<Self, TryFromParameterError> {
                match parameter {
                    Parameter::$variant($value) => Ok($result),
                    other => Err(TryFromParameterError { expected: $expected, found: other.type_name() }),
                }
            }
        }
    )*};
}
parameter_into! {
    bool = "bool": Bool(value) => *value,
    i64 = "integer": Integer(value) => *value,
    f64 = "float": Float(value) => *value,
    String = "string": String(value) => value.clone(),
    &'a str = "string": String(value) => value.as_str(),
    DateTime<Utc> = "timestamp": Timestamp(value) => *value,
    Vec<i64> = "list of integers": ListInt(value) => value.clone(),
    &'a [i64] = "list of integers": ListInt(value) => value.as_slice(),
    Vec<f64> = "list of floats": ListFloat(value) => value.clone(),
    &'a [f64] = "list of floats": ListFloat(value) => value.as_slice(),
    Vec<String> = "list of strings": ListString(value) => value.clone(),
    &'a [String] = "list of strings": ListString(value) => value.as_slice(),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_other_types_are_named() {
        assert_eq!(i64::try_from(&Parameter::from(7u8)), Ok(7));
        assert_eq!(<&str>::try_from(&Parameter::from("a")), Ok("a"));
        assert_eq!(Vec::<f64>::try_from(&Parameter::from(vec![0.5])), Ok(vec![0.5]));
        let error = i64::try_from(&Parameter::Float(1.0)).unwrap_err();
        assert_eq!(error.to_string(), "expected integer, found float");
    }
}
