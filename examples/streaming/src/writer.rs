//! Puts the words of each segment together, and fails if the sentences are not the two that were finished.

use dora_node_api::{DoraNode, Event, FIN, FLUSH, MetadataParameters, get_bool_param};

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut words: Vec<String> = Vec::new();
    let mut sentences = Vec::new();
    while let Some(event) = events.recv() {
        match event {
            Event::Input { metadata, data, .. } => {
                if get_bool_param(&metadata.parameters, FLUSH) == Some(true) {
                    println!("withdrawn: {}", words.join(" "));
                    words.clear();
                    continue;
                }
                words.push((&data).try_into()?);
                if get_bool_param(&metadata.parameters, FIN) == Some(true) {
                    let sentence = words.join(" ");
                    words.clear();
                    println!("sentence: {sentence}");
                    node.send_output("sentence".into(), MetadataParameters::new(), sentence.as_str())?;
                    sentences.push(sentence);
                }
            }
            Event::Stop(_) => break,
            _ => {}
        }
    }
    let expected = ["the quick brown fox jumps", "over the sleeping dog"];
    eyre::ensure!(sentences == expected, "expected {expected:?}, got {sentences:?}");
    Ok(())
}
