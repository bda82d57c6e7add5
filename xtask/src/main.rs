//! Set-up, tests, demo and checks of this repository.
fn main() {}
