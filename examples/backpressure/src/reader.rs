//! Counts what arrives and what was dropped, and fails if the two do not add up.

use dora_node_api::{DoraNode, Event};

const NUMBERS: u64 = 20_000;

fn main() -> eyre::Result<()> {
    let (node, mut events) = DoraNode::init_from_env()?;
    let mut received = 0;
    let mut last = None;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { data, .. } => {
                let number: u64 = (&data).try_into()?;
                eyre::ensure!(last < Some(number), "{number} came after {last:?}");
                last = Some(number);
                received += 1;
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    let dropped: u64 = events.drain_drop_counts().values().sum();
    println!("{}: {received} received, {dropped} dropped", node.id());
    eyre::ensure!(received + dropped == NUMBERS, "{} numbers are unaccounted for", NUMBERS - received - dropped);
    eyre::ensure!(last == Some(NUMBERS - 1), "the newest number must arrive, the last one was {last:?}");
    eyre::ensure!(node.id().as_ref() != "all" || dropped == 0, "an edge with backpressure drops nothing");
    Ok(())
}
