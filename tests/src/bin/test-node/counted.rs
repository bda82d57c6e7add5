//! Roles that count what they do, and tell it at the end.

use dora_node_api::{Event, MetadataParameters, NodeResult, REQUEST_ID, get_string_param};

use crate::Outcome;

/// Sends, at each tick, `burst` numbers that follow each other; until it is stopped.
pub(crate) fn pump(burst: usize) -> Outcome {
    let (mut node, mut events) = crate::start()?;
    let mut next = 0_u64;
    let mut send = |count: usize| -> NodeResult<()> {
        for _ in 0..count {
            node.send_output("data".into(), MetadataParameters::default(), next)?;
            next += 1;
        }
        Ok(())
    };
    while let Some(event) = events.recv() {
        match event {
            // Waiting for room ends with an error when the dataflow is stopped.
            Event::Input { .. } if send(burst).is_err() => break,
            Event::Stop(_) => break,
            _ => {}
        }
    }
    println!("pumped {next}");
    Ok(())
}

/// Receives numbers: `all` of them, and `some` of them.
pub(crate) fn tally() -> Outcome {
    let (_node, mut events) = crate::start()?;
    let (mut all, mut some, mut least) = (0_u64, 0_u64, 0_u64);
    while let Some(event) = events.recv() {
        let Event::Input { id, data, .. } = event else { continue };
        let number = u64::try_from(&data)?;
        match id.as_str() {
            "all" if number == all => all += 1,
            "some" if number >= least => (some, least) = (some + 1, number + 1),
            _ => return Err(format!("{id}: {number} comes after {all} and {least}").into()),
        }
    }
    println!("tallied {all} and {some}");
    Ok(())
}

/// Asks a server at each tick, unless it waits for an answer.
pub(crate) fn ask() -> Outcome {
    let (mut node, mut events) = crate::start()?;
    let (mut asked, mut answered, mut open) = (0_i64, 0, None);
    while let Some(event) = events.recv() {
        match event {
            Event::Input { id, metadata, data } if id.as_str() == "response" => {
                let answer = i64::try_from(&data)?;
                let of = get_string_param(&metadata.parameters, REQUEST_ID);
                if of != open.take().as_deref() || answer != asked * asked {
                    return Err(format!("{answer} is no answer to {asked}").into());
                }
                answered += 1;
            }
            Event::Input { .. } if open.is_none() => {
                asked += 1;
                let id = node.send_service_request("request".into(), MetadataParameters::default(), asked);
                // It fails when the dataflow is stopped.
                let Ok(id) = id else { break };
                open = Some(id);
            }
            _ => {}
        }
    }
    println!("asked {asked}, answered {answered}");
    Ok(())
}

/// Answers each request with the square of the number in it.
pub(crate) fn answer() -> Outcome {
    let (mut node, mut events) = crate::start()?;
    while let Some(event) = events.recv() {
        let Event::Input { id, metadata, data } = event else { continue };
        let number = i64::try_from(&data)?;
        if node.send_service_response(id, metadata.parameters, number * number).is_err() {
            break;
        }
    }
    Ok(())
}
