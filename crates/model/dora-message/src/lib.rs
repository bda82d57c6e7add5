//! What dora components say to each other: values only, no I/O, no clock, no async.

pub mod arrow;
pub mod attach;
pub mod clock;
pub mod id;
pub mod keeper;
pub mod log;
pub mod metadata;
pub mod parameter;
pub mod result;
pub mod supervision;
mod wire;

pub use wire::Truncated;
