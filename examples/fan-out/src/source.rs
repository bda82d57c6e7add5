//! Writes blocks of 4 MiB straight into the memory that all readers see.

use dora_node_api::{DoraNode, Event, MetadataParameters, Parameter};

const BLOCKS: i64 = 50;
const BLOCK_SIZE: usize = 4 * 1024 * 1024;

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut number = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { .. } => {
                let parameters = MetadataParameters::from([("number".to_owned(), Parameter::Integer(number))]);
                // The closure gets the shared memory itself: nothing is copied, whatever the number of readers.
                node.send_output_raw("block".into(), parameters, BLOCK_SIZE, |block| block.fill(stamp(number)))?;
                number += 1;
                if number == BLOCKS {
                    break;
                }
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    Ok(())
}

/// What every byte of a block is filled with.
fn stamp(number: i64) -> u8 {
    number.to_le_bytes()[0]
}
