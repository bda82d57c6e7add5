//! Roles that receive, on any input.

use dora_node_api::{DoraArray, Event};

use crate::Outcome;

/// Receives everything and tells at the end what it was.
pub(crate) fn sink() -> Outcome {
    let (_node, mut events) = crate::start()?;
    let mut numbers: Vec<u64> = Vec::new();
    let mut bytes = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { data, .. } if is_tick(&data) => {}
            Event::Input { data, .. } => {
                if numbers.is_empty() && bytes == 0 {
                    println!("receiving");
                }
                match u64::try_from(&data) {
                    Ok(number) => numbers.push(number),
                    Err(_) => bytes += checked_len(&data)?,
                }
            }
            Event::InputClosed { id } => println!("closed: {id}"),
            Event::InputRecovered { id } => println!("recovered: {id}"),
            Event::NodeFailed { source_node_id, error, .. } => println!("failed: {source_node_id}: {error}"),
            Event::NodeRestarted { id } => println!("restarted: {id}"),
            Event::Stop(cause) => println!("stopped: {cause:?}"),
            _ => {}
        }
    }
    let (first, last) = (numbers.first().copied().unwrap_or(0), numbers.last().copied().unwrap_or(0));
    println!("received {} from {first} to {last}, in order: {}", numbers.len(), numbers.is_sorted());
    if bytes > 0 {
        println!("received {bytes} bytes");
    }
    Ok(())
}

/// Receives everything and tells of each event in a line.
pub(crate) fn tell() -> Outcome {
    let (_node, mut events) = crate::start()?;
    println!("telling");
    while let Some(event) = events.recv() {
        match event {
            Event::Input { data, .. } if is_tick(&data) => {}
            Event::Input { id, data, .. } => match u64::try_from(&data) {
                Ok(number) => println!("{id} = {number}"),
                Err(_) => println!("{id} has {} bytes", checked_len(&data)?),
            },
            Event::InputClosed { id } => println!("closed: {id}"),
            Event::InputRecovered { id } => println!("recovered: {id}"),
            Event::NodeFailed { source_node_id, .. } => println!("failed: {source_node_id}"),
            Event::NodeRestarted { id } => println!("restarted: {id}"),
            Event::Stop(cause) => println!("stopped: {cause:?}"),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}

/// Whether it comes from a timer.
fn is_tick(data: &DoraArray) -> bool {
    data.type_name() == "Null"
}

/// The length of a message of bytes, whose two ends must be equal.
fn checked_len(data: &DoraArray) -> Result<usize, Box<dyn std::error::Error>> {
    let bytes: &[u8] = data.try_into()?;
    if bytes.len() >= 8 && bytes[..8] != bytes[bytes.len() - 8..] {
        return Err("a torn message".into());
    }
    Ok(bytes.len())
}

/// Prints every text that it receives, with the name of the input.
pub(crate) fn listen() -> Outcome {
    let (_node, mut events) = crate::start()?;
    println!("listening");
    while let Some(event) = events.recv() {
        match event {
            Event::Input { id, data, .. } => println!("{id} says {:?}", <&str>::try_from(&data)?),
            Event::InputClosed { id } => println!("closed: {id}"),
            Event::NodeFailed { source_node_id, .. } => println!("failed: {source_node_id}"),
            Event::Stop(cause) => println!("stopped: {cause:?}"),
            _ => {}
        }
    }
    Ok(())
}

/// Keeps the first `count` messages, and lets go of the others.
pub(crate) fn hold(count: usize) -> Outcome {
    let (_node, mut events) = crate::start()?;
    let mut held = Vec::new();
    while let Some(event) = events.recv() {
        let Event::Input { data, .. } = event else { continue };
        if held.len() < count {
            held.push(data);
            if held.len() == count {
                println!("holding {count}");
            }
        }
    }
    for data in &held {
        checked_len(data)?;
    }
    Ok(())
}

/// Connects, and never looks at an input.
pub(crate) fn stuck() -> Outcome {
    let _connected = crate::start()?;
    println!("stuck");
    loop {
        std::thread::park();
    }
}

/// Receives everything, and then does not end.
pub(crate) fn linger() -> Outcome {
    sink()?;
    loop {
        std::thread::park();
    }
}

/// Computes for ever after the first event.
pub(crate) fn busy() -> Outcome {
    let (_node, mut events) = crate::start()?;
    println!("first: {}", events.recv().is_some());
    loop {
        std::hint::spin_loop();
    }
}
