//! Speaks three sentences word by word, and withdraws the second one in the middle.

use dora_node_api::{DoraNode, Event, StreamSegment};

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut segment = StreamSegment::new();

    say(&mut node, &mut segment, "the quick brown fox jumps", true)?;
    let answer = events.recv();
    eyre::ensure!(matches!(answer, Some(Event::Input { .. })), "expected the written sentence, got {answer:?}");

    segment.next_segment();
    say(&mut node, &mut segment, "over the lazy", false)?;

    // Begins a new segment and tells the reader to forget what it has of the old one.
    node.send_output("words".into(), segment.flush(), "")?;
    say(&mut node, &mut segment, "over the sleeping dog", true)?;
    Ok(())
}

/// Sends one chunk per word; the last one finishes the segment if the sentence is complete.
fn say(node: &mut DoraNode, segment: &mut StreamSegment, sentence: &str, complete: bool) -> eyre::Result<()> {
    let mut words = sentence.split(' ').peekable();
    while let Some(word) = words.next() {
        let fin = complete && words.peek().is_none();
        node.send_stream_chunk("words".into(), segment, fin, word)?;
    }
    Ok(())
}
