//! Plays nodes of the dataflows under test.

fn main() {}
