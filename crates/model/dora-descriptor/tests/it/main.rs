//! Whole files through the public API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad;
mod good;
mod modules;
mod random;
mod round_trip;
mod schema;
mod served;
