//! Counts what arrives on its inputs, and sends the count.

use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut count = 0_u64;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { id, metadata, .. } => {
                count += 1;
                println!("message {count} came on `{id}`");
                node.send_output("count".into(), metadata.parameters, count)?;
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    Ok(())
}
