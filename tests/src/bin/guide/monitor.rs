//! Looks at three greetings of a dataflow that runs.

use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (_node, mut events) = DoraNode::init_from_node_id("monitor".parse()?)?;
    let mut seen = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { data, .. } => {
                let greeting: &str = (&data).try_into()?;
                println!("seen: {greeting}");
                seen += 1;
                if seen == 3 {
                    break;
                }
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    Ok(())
}
