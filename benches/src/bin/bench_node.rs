//! The benchmark node against this project's node API; see `node` for its roles.

#[path = "../node.rs"]
mod node;

fn main() -> bench_common::Outcome<()> {
    node::run()
}
