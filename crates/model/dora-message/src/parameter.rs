//! Parameters: the typed key-value pairs that travel with a message, and their binary form.
//!
//! ```
//! use dora_message::parameter::{self, MetadataParameters, Parameter};
//!
//! let mut parameters = MetadataParameters::new();
//! parameters.insert("frame".into(), Parameter::from(7));
//! let mut bytes = Vec::new();
//! parameter::encode(&parameters, &mut bytes);
//! assert_eq!(bytes.len(), parameter::encoded_len(&parameters));
//! assert_eq!(parameter::decode(&bytes)?, parameters);
//! # Ok::<(), parameter::ParameterError>(())
//! ```
//!
//! The binary form is a sequence of `key length, key, tag, value length, value`, nothing else: no parameters, no
//! bytes. Because each value carries its length, a reader skips tags it does not know. Lengths are varints, numbers are
//! little endian. This module must not know where the bytes lie.

mod codec;
mod convert;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use codec::{ParameterError, decode, encode, encode_in_place, encoded_len};
pub use convert::TryFromParameterError;

/// The parameters of one message, by key.
pub type MetadataParameters = BTreeMap<String, Parameter>;

/// One typed value that travels with a message.
#[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
pub enum Parameter {
    /// A truth value.
    Bool(bool),
    /// A signed 64-bit integer.
    Integer(i64),
    /// A text.
    String(String),
    /// A list of signed 64-bit integers.
    ListInt(Vec<i64>),
    /// A 64-bit floating-point number.
    Float(f64),
    /// A list of 64-bit floating-point numbers.
    ListFloat(Vec<f64>),
    /// A list of texts.
    ListString(Vec<String>),
    /// A point in time, to the nanosecond.
    Timestamp(DateTime<Utc>),
}

impl Parameter {
    /// The kind of value, as error messages name it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Integer(_) => "integer",
            Self::String(_) => "string",
            Self::ListInt(_) => "list of integers",
            Self::Float(_) => "float",
            Self::ListFloat(_) => "list of floats",
            Self::ListString(_) => "list of strings",
            Self::Timestamp(_) => "timestamp",
        }
    }
}

/// The value of `key` if it is a [`Parameter::Bool`]; `None` if it is missing or of another type.
pub fn get_bool_param(parameters: &MetadataParameters, key: &str) -> Option<bool> {
    parameters.get(key)?.try_into().ok()
}

/// The value of `key` if it is a [`Parameter::Integer`]; `None` if it is missing or of another type.
pub fn get_integer_param(parameters: &MetadataParameters, key: &str) -> Option<i64> {
    parameters.get(key)?.try_into().ok()
}

/// The value of `key` if it is a [`Parameter::String`]; `None` if it is missing or of another type.
pub fn get_string_param<'a>(parameters: &'a MetadataParameters, key: &str) -> Option<&'a str> {
    parameters.get(key)?.try_into().ok()
}
