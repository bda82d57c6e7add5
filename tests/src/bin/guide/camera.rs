//! Sends images: how many, and how many bytes each has.

use dora_node_api::DoraNode;

fn main() -> eyre::Result<()> {
    let (mut node, _events) = DoraNode::init_from_env()?;
    let count = std::env::args().nth(1).unwrap_or_default().parse()?;
    let size = std::env::args().nth(2).unwrap_or_default().parse()?;
    for _ in 0..count {
        node.send_output_raw("image".into(), Default::default(), size, |bytes| bytes.fill(7))?;
    }
    Ok(())
}
