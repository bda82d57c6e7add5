//! Prints what it hears, and fails if it did not hear all ten greetings in order.

use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (_node, mut events) = DoraNode::init_from_env()?;
    let mut heard = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { data, .. } => {
                let greeting: &str = (&data).try_into()?;
                println!("heard: {greeting}");
                heard += 1;
                eyre::ensure!(greeting == format!("hello {heard}"), "expected `hello {heard}`");
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    eyre::ensure!(heard == 10, "heard {heard} of 10 greetings");
    Ok(())
}
