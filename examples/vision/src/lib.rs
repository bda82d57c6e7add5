//! What the three nodes of this example share: what they tell each other about a frame, and how an edge is measured.

pub mod edge;
pub mod frame;
pub mod sheet;
