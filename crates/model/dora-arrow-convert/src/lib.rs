//! Rust values to Arrow arrays and back.
