//! Rust values to Arrow arrays and back.
//!
//! ```
//! use dora_arrow_convert::{DoraArray, IntoArrow, into_vec};
//!
//! let data: DoraArray = vec![1u16, 2, 3].into_arrow();
//! let numbers: &[u16] = (&data).try_into()?;
//! assert_eq!(numbers, [1, 2, 3]);
//! assert_eq!(into_vec::<f64>(&data)?, [1.0, 2.0, 3.0]);
//! # Ok::<(), eyre::Report>(())
//! ```
//!
//! Errors are [`eyre::Report`] because that is what node sources expect of these conversions; every other crate below
//! the command line has its own error types. This crate must not know how arrays travel.

mod array;
pub mod arrow_utils;
#[cfg(feature = "arrow-v58")]
mod arrow_v58;
mod from_impls;
mod into_arrays;
mod into_impls;

pub use array::{DoraArray, DoraArray as ArrowData};
pub use from_impls::into_vec;

/// What can be sent: a value that becomes an Arrow array.
pub trait IntoArrow {
    /// The array. Numbers, texts, truth values and chrono's dates and times become arrays of length 1, vectors arrays of
    /// their length, `()` an empty array of type Null; arrays stay what they are, without a copy.
    fn into_arrow(self) -> DoraArray;
}
