//! The dataflow file: YAML text in, a checked graph of nodes out.
//!
//! ```
//! use dora_descriptor::{graph, parse, Options};
//!
//! let text = "
//! nodes:
//!   - id: camera
//!     path: camera.py
//!     inputs: { tick: dora/timer/millis/50 }
//!     outputs: [image]
//!   - id: screen
//!     path: screen.py
//!     inputs: { image: camera/image }
//! ";
//! let loaded = parse("dataflow.yml", text, &Options::default())?;
//! let edge = graph::edges(&loaded.dataflow).next().expect("one edge");
//! assert_eq!((edge.from.as_str(), edge.to.as_str(), edge.queue_size), ("camera", "screen", 10));
//!
//! // Every mistake of a file is reported together, each with its place and the nearest right spelling.
//! let mistakes = parse("dataflow.yml", &text.replace("camera/image", "camra/image"), &Options::default()).unwrap_err();
//! assert!(mistakes.render(false).contains("camera"));
//! # Ok::<(), dora_descriptor::Diagnostics>(())
//! ```
//!
//! The way of a file: [`load`] reads it (through a [`Loader`]) -> YAML tree with positions -> decoded by the table of
//! keys, which also gives [`schema`] -> modules expanded, parameters and variables substituted -> edges, cycles and
//! types checked -> [`Loaded`]. [`unserved`] then tells what a certain runner cannot do with it.
//!
//! This crate must not know about processes, machines or time. It reads files only through [`Loader`].

mod check;
mod decode;
mod diagnostic;
mod draft;
mod emit;
mod expand;
pub mod graph;
mod keys;
mod load;
mod loader;
mod mapping;
pub mod model;
mod places;
mod render;
mod schema;
mod source;
mod suggest;
mod types;
mod unserved;
mod vars;
mod yaml;

pub use diagnostic::{Code, Diagnostic, Diagnostics, Label, Record, Severity};
pub use emit::{expanded_json, expanded_yaml};
pub use load::{
    InferredType, Loaded, MAX_FILE_SIZE, MAX_MODULE_SIZE, ModuleInstance, Options, check_module, load, parse,
};
pub use loader::{FsLoader, LoadError, Loader, MemoryLoader};
pub use model::{Dataflow, Input, Node, NodeKind, Output, Source};
pub use places::{Part, Places};
pub use schema::{module_schema, schema};
pub use source::{FileId, Position, Sources, Span};
pub use suggest::nearest;
pub use types::primitive;
pub use unserved::{Capabilities, unserved};
