//! The benchmark node of this project, compiled against the published node API of dora-rs.

#[path = "../../../src/node.rs"]
mod node;

fn main() -> bench_common::Outcome<()> {
    node::run()
}
