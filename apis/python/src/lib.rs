//! The native half of the Python module `dora`: `dora.dora`, which the Python files beside it build upon.
//!
//! - `node`: the class `Node`, one thin method per call.
//! - `sender`, `receiver`: the two halves behind it, shared by the threads of the process.
//! - `event`, `metadata`, `data`: from Rust values to Python values and back; `arrays` without copying what arrays hold,
//!   `types` those of them that need no description.
//! - `sample`: memory that Python writes to before it is sent.
//! - `signals`: what Ctrl-C does to a wait.
//! - `bridge`: the Python objects that all of this calls.
//!
//! # Invariants
//! - No lock of ours is waited for, and nothing blocks, while the interpreter is held.
//! - What waits looks at the signals of the interpreter whenever one was handled.
//!
//! How Python waits in asyncio, and what is convenience, is in the Python files: this crate must not know of either.

mod arrays;
mod bridge;
mod data;
mod errors;
mod event;
mod metadata;
mod node;
mod receiver;
mod sample;
mod sender;
mod signals;
mod types;

use pyo3::prelude::*;

#[pymodule(name = "dora")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    signals::install();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<node::Node>()?;
    module.add_class::<sample::SampleHandler>()?;
    module.add_class::<sample::SampleBuffer>()
}
