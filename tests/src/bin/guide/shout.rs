//! Says in capitals what it hears.

use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { metadata, data, .. } => {
                let text: &str = (&data).try_into()?;
                node.send_output("loud".into(), metadata.parameters, text.to_uppercase())?;
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    Ok(())
}
