//! Types of messages: names such as `std/media/v1/Image[encoding=rgb8]`, what they stand for, which fits which.

mod registry;
mod standard;
mod urn;

pub(crate) use registry::Registry;
pub(crate) use urn::{Rules, Urn};

/// Type of a timer's messages, for comparing with what an input expects.
pub(crate) const TIMER: &str = "std/core/v1/UInt64";
