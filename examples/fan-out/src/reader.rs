//! Looks at every block, and fails if one is missing or not as it was written.

use dora_node_api::{DoraNode, Event, get_integer_param};

const BLOCKS: i64 = 50;
const BLOCK_SIZE: usize = 4 * 1024 * 1024;

fn main() -> eyre::Result<()> {
    let (node, mut events) = DoraNode::init_from_env()?;
    let mut received = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { metadata, data, .. } => {
                // No copy: the slice lies in the memory of the source, which reuses it when `data` is dropped.
                let block: &[u8] = (&data).try_into()?;
                let number = get_integer_param(&metadata.parameters, "number");
                eyre::ensure!(number == Some(received), "expected block {received}, got {number:?}");
                eyre::ensure!(block.len() == BLOCK_SIZE, "block {received} has {} bytes", block.len());
                let stamp = received.to_le_bytes()[0];
                eyre::ensure!(block.iter().all(|byte| *byte == stamp), "block {received} was overwritten");
                received += 1;
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    println!("{}: {received} blocks of {BLOCK_SIZE} bytes", node.id());
    eyre::ensure!(received == BLOCKS, "received {received} of {BLOCKS} blocks");
    Ok(())
}
