//! What the nodes in Rust of this example tell each other about a frame.

pub mod frame;
