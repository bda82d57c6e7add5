//! Sends numbers as fast as its edges let it.

use dora_node_api::{DoraNode, MetadataParameters};

const NUMBERS: u64 = 20_000;

fn main() -> eyre::Result<()> {
    let (mut node, _events) = DoraNode::init_from_env()?;
    for number in 0..NUMBERS {
        node.send_output("number".into(), MetadataParameters::new(), number)?;
    }
    Ok(())
}
