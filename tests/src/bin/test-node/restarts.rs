//! Roles that crash and are started again.

use std::path::Path;

use dora_node_api::{Event, MetadataParameters, dora_core::config::DataId};

use crate::Outcome;

/// The first number that a process sends is this many times the number of its restart.
const STEP: u64 = 1000;

fn data() -> DataId {
    DataId::from("data".to_owned())
}

/// Sends `count` numbers and crashes; ends well in its restart number `crashes`.
pub(crate) fn source(count: usize, crashes: usize) -> Outcome {
    let (mut node, _events) = crate::start()?;
    let restart = node.restart_count();
    assert_eq!(node.is_restart(), restart > 0);
    for number in 0..count as u64 {
        node.send_output(data(), MetadataParameters::default(), u64::from(restart) * STEP + number)?;
    }
    println!("sent {count} in restart {restart}");
    if (restart as usize) < crashes {
        std::process::abort();
    }
    Ok(())
}

/// Receives numbered messages; each process crashes with the message number `each` in its hands, until restart `crashes`.
pub(crate) fn sink(each: usize, crashes: usize) -> Outcome {
    let (node, mut events) = crate::start()?;
    let mut received = 0;
    while let Some(event) = events.recv() {
        let Event::Input { data, .. } = event else { continue };
        received += 1;
        let bytes: &[u8] = (&data).try_into()?;
        let number = bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
        println!("took {number}");
        if received == each && (node.restart_count() as usize) < crashes {
            std::process::abort();
        }
    }
    println!("took {received} in restart {}", node.restart_count());
    Ok(())
}

/// Sends on what it receives, until its inputs end or it is stopped.
pub(crate) fn relay() -> Outcome {
    let (mut node, mut events) = crate::start()?;
    println!("relaying in restart {}", node.restart_count());
    while let Some(event) = events.recv() {
        if let Event::Input { data: array, .. } = event {
            let bytes: &[u8] = (&array).try_into()?;
            if node.send_output_bytes(data(), MetadataParameters::default(), bytes.len(), bytes).is_err() {
                return Ok(()); // the dataflow stops
            }
        }
    }
    Ok(())
}

/// Fails before it connects the first time that it is started in a directory; sends a message the next time.
pub(crate) fn fail_first() -> Outcome {
    let mark = Path::new("was-here");
    if !mark.exists() {
        std::fs::write(mark, "")?;
        return Err("not today".into());
    }
    let (mut node, _events) = crate::start()?;
    node.send_output(data(), MetadataParameters::default(), u64::from(node.restart_count()))?;
    println!("here in restart {}", node.restart_count());
    Ok(())
}
