//! Asks for twenty squares, one after the other, and fails if one of them is wrong.

use std::time::Duration;

use dora_node_api::futures::executor::block_on;
use dora_node_api::{DoraNode, Event, MetadataParameters, NodeId};

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let server: NodeId = "server".parse()?;
    for number in 1..=20_i64 {
        let request_id = node.send_service_request("request".into(), MetadataParameters::new(), number)?;
        let response = block_on(events.recv_service_response(&request_id, &server, PATIENCE))?;
        let Event::Input { data, .. } = response else { eyre::bail!("expected an input, got {response:?}") };
        let square: i64 = (&data).try_into()?;
        eyre::ensure!(square == number * number, "{number} squared is not {square}");
    }
    println!("{}: 20 requests, 20 right answers", node.id());
    Ok(())
}
