//! What dora components say to each other: values only, no I/O, no clock, no async.

pub mod id;
