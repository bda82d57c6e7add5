//! Receives images, and is not quick.

use std::time::Duration;

use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (_node, mut events) = DoraNode::init_from_env()?;
    let mut count = 0;
    while let Some(event) = events.recv() {
        if let Event::Input { .. } = event {
            // This is where it draws.
            std::thread::sleep(Duration::from_millis(2));
            count += 1;
        }
    }
    println!("{count} images");
    Ok(())
}
