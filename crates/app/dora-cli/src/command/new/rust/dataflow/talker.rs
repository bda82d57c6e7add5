//! Says hello, once per tick of its timer, until it is stopped.

use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut said = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { metadata, .. } => {
                said += 1;
                node.send_output("greeting".into(), metadata.parameters, format!("hello {said}"))?;
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    // Leaving main closes the output: the listener still hears everything that was said, then the end.
    Ok(())
}
