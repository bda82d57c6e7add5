//! Benchmarks through the public node API.
fn main() {}
