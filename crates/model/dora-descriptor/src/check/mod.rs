//! What needs the whole dataflow: edges, cycles, types.

mod cycles;
mod lines;
mod types;
mod wiring;

pub(crate) use cycles::cycles;
pub(crate) use lines::lines;
pub(crate) use types::types;
pub(crate) use wiring::connect;
