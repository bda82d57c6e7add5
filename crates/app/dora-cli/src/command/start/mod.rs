//! `dora start`: hands a dataflow to a coordinator.

mod running;

pub(crate) use running::{await_running, triggered};
