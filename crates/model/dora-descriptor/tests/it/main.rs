//! Whole files through the public API.

mod bad;
mod good;
mod modules;
mod random;
mod round_trip;
mod schema;
mod served;
