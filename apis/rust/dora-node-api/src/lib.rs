//! The Rust API of dora nodes.
