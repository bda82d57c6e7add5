//! Python as it concerns whoever starts nodes: which wheel has the module that speaks to us, which interpreter runs a node
//! and why, and whose module that one imports.
//!
//! It must not know what is printed where.

mod imported;
mod interpreter;
mod module;

pub use imported::{Imported, Stranger, imported};
pub use interpreter::{Interpreter, interpreter};
pub use module::PythonModule;
