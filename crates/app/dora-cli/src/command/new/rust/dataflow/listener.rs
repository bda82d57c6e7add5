//! Prints what it hears.

use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (_node, mut events) = DoraNode::init_from_env()?;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { data, .. } => {
                let greeting: &str = (&data).try_into()?;
                println!("heard: {greeting}");
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    Ok(())
}
