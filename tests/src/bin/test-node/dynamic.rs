//! Roles of dynamic nodes that join more than once.

use dora_node_api::{DoraArray, DoraNode, Event, EventStream, MetadataParameters, dora_core::config::DataId};

use crate::Outcome;

/// Messages that are sent on before the node leaves.
const EACH: usize = 3;

fn next(events: &mut EventStream) -> Result<DoraArray, Box<dyn std::error::Error>> {
    loop {
        match events.recv() {
            Some(Event::Input { data, .. }) => return Ok(data),
            Some(_) => {}
            None => return Err("the stream has ended".into()),
        }
    }
}

fn send_on(node: &mut DoraNode, array: &DoraArray) -> Outcome {
    let bytes: &[u8] = array.try_into()?;
    Ok(node.send_output_bytes(DataId::from("data".to_owned()), MetadataParameters::default(), bytes.len(), bytes)?)
}

/// Joins, sends some messages on, and leaves, `count` times.
pub(crate) fn cycle(count: usize) -> Outcome {
    let first = crate::start()?.0.restart_count();
    for number in 1..=count as u32 {
        let (mut node, mut events) = crate::start()?;
        assert_eq!(node.restart_count(), first + number);
        for _ in 0..EACH {
            let array = next(&mut events)?;
            send_on(&mut node, &array)?;
        }
    }
    println!("joined {count} times");
    Ok(())
}

/// Leaves while it holds a message, joins again, and leaves in the end with all that it has.
pub(crate) fn keep() -> Outcome {
    let (node, mut events) = crate::start()?;
    let held = next(&mut events)?;
    drop((node, events));
    match crate::start() {
        Ok(_) => return Err("it joined while it held a message".into()),
        Err(error) => println!("held: {error}"),
    }
    let before: Vec<u8> = <&[u8]>::try_from(&held)?.to_vec();
    println!("unchanged: {}", before == <&[u8]>::try_from(&held)?);
    drop(held);
    let (_node, mut events) = crate::start()?;
    next(&mut events)?;
    println!("joined again");
    Ok(())
}
