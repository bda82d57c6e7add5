//! Answers each request with the square of the number in it.

use dora_node_api::{DoraNode, Event};

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut answered = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { id, metadata, data } => {
                let number: i64 = (&data).try_into()?;
                // The parameters of the request carry its `request_id`, which tells the client what is answered.
                node.send_service_response(id, metadata.parameters, number * number)?;
                answered += 1;
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    println!("answered {answered} requests");
    Ok(())
}
