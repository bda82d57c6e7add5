//! Roles that send, on the output `data`.

use std::process::ExitCode;

use dora_node_api::{Event, EventStream, MetadataParameters, NodeResult, dora_core::config::DataId};

use crate::Outcome;

fn data() -> DataId {
    DataId::from("data".to_owned())
}

/// Sends the numbers below `count`, and ends.
pub(crate) fn source(count: usize) -> Outcome {
    let (mut node, _events) = crate::start()?;
    for number in 0..count as u64 {
        node.send_output(data(), MetadataParameters::default(), number)?;
    }
    println!("sent {count}");
    Ok(())
}

/// Sends messages of `size` bytes until it is stopped.
pub(crate) fn flood(size: usize) -> Outcome {
    let (mut node, mut events) = crate::start()?;
    let mut sent = 0_u64;
    loop {
        while let Ok(event) = events.try_recv() {
            if matches!(event, Event::Stop(_)) {
                return Ok(());
            }
        }
        let result = node.send_output_raw(data(), MetadataParameters::default(), size, |bytes| stamp(bytes, sent));
        if result.is_err() {
            return unless_stopped(result, &mut events);
        }
        if sent == 0 {
            println!("flooding");
        }
        sent += 1;
    }
}

/// Waiting for room ends with an error when the dataflow is stopped.
fn unless_stopped(result: NodeResult<()>, events: &mut EventStream) -> Outcome {
    while let Some(event) = events.recv() {
        if let Event::Stop(cause) = event {
            println!("stopped: {cause:?}");
            return Ok(());
        }
    }
    Ok(result?)
}

/// Writes a number to the beginning and to the end, so that a torn message is found.
fn stamp(bytes: &mut [u8], number: u64) {
    if let Some(first) = bytes.first_chunk_mut() {
        *first = number.to_le_bytes();
    }
    if let Some(last) = bytes.last_chunk_mut() {
        *last = number.to_le_bytes();
    }
}

/// Sends `count` messages of 1000 bytes that start with their number.
pub(crate) fn numbered(count: usize) -> Outcome {
    let (mut node, _events) = crate::start()?;
    for number in 0..count as u64 {
        node.send_output_raw(data(), MetadataParameters::default(), 1000, |bytes| stamp(bytes, number))?;
    }
    println!("sent {count}");
    Ok(())
}

/// Sends one message of `size` bytes, each of them 7.
pub(crate) fn big(size: usize) -> Outcome {
    let (mut node, _events) = crate::start()?;
    node.send_output_raw(data(), MetadataParameters::default(), size, |bytes| bytes.fill(7))?;
    println!("sent {size} bytes");
    Ok(())
}

/// Sends a number every `millis`, for ever, and never receives.
pub(crate) fn beat(millis: usize) -> Outcome {
    let (mut node, _events) = crate::start()?;
    for number in 0_u64.. {
        node.send_output(data(), MetadataParameters::default(), number)?;
        std::thread::sleep(std::time::Duration::from_millis(millis as u64));
    }
    Ok(())
}

/// Sends a number at each tick; ends after `count` of them, or never if that is 0.
pub(crate) fn ticker(count: usize) -> Outcome {
    let (mut node, mut events) = crate::start()?;
    let mut sent = 0;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { .. } => {
                let result = node.send_output(data(), MetadataParameters::default(), sent as u64);
                if result.is_err() {
                    return unless_stopped(result, &mut events);
                }
                sent += 1;
                println!("tick {sent}");
                if sent == count {
                    return Ok(());
                }
            }
            Event::Stop(cause) => println!("stopped: {cause:?}"),
            _ => {}
        }
    }
    Ok(())
}

/// Logs with the API, and prints.
pub(crate) fn log() -> Outcome {
    let (node, _events) = crate::start()?;
    let fields = [("celsius".to_owned(), "91".to_owned())].into();
    node.log_with_fields("warn", "it is hot", Some("cpu"), Some(&fields));
    node.log_debug("details");
    println!("plain");
    Ok(())
}

/// Connects, and ends with this exit code.
pub(crate) fn fail(code: usize) -> ExitCode {
    let connected = crate::start();
    eprintln!("about to fail, connected: {}", connected.is_ok());
    // A crash gives no time to close outputs.
    std::mem::forget(connected);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Sends `count` messages, and returns an error: its node is dropped before the process ends.
pub(crate) fn err(count: usize) -> Outcome {
    let (mut node, _events) = crate::start()?;
    for number in 0..count as u64 {
        node.send_output(data(), MetadataParameters::default(), number)?;
    }
    Err("no more film".into())
}

/// Sends `count` messages, drops its node, and stays until it is killed.
pub(crate) fn leave(count: usize) -> Outcome {
    source(count)?;
    loop {
        std::thread::park();
    }
}

/// Sends one message after that many milliseconds.
pub(crate) fn late(millis: usize) -> Outcome {
    let (mut node, mut events) = crate::start()?;
    let time = std::time::Duration::from_millis(millis as u64);
    // Nothing comes: this is a way to sleep.
    while events.recv_timeout(time).is_some_and(|event| !matches!(event, Event::Error(_))) {}
    node.send_output(data(), MetadataParameters::default(), 1_u64)?;
    Ok(())
}
