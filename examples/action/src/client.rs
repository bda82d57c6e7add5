//! Sets a goal and waits for its result; sets another one, far away, and cancels it on the way.

use dora_node_api::{
    DoraNode, Event, EventStream, GOAL_ID, GOAL_STATUS, GOAL_STATUS_CANCELED, GOAL_STATUS_SUCCEEDED,
    MetadataParameters, Parameter, get_string_param,
};

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;

    let (status, reached) = pursue(&mut node, &mut events, 5, None)?;
    println!("the first goal: {status} at {reached}");
    eyre::ensure!(status == GOAL_STATUS_SUCCEEDED && reached == 5, "the first goal must be reached");

    let (status, reached) = pursue(&mut node, &mut events, 1_000_000, Some(3))?;
    println!("the second goal: {status} at {reached}");
    eyre::ensure!(status == GOAL_STATUS_CANCELED, "the second goal must be canceled, it was {status}");
    eyre::ensure!((3..1_000_000).contains(&reached), "it was canceled at 3 or soon after, not at {reached}");
    Ok(())
}

/// Sets a goal, follows it, cancels it once it has reached `cancel_at`; returns its final status and how far it came.
fn pursue(
    node: &mut DoraNode,
    events: &mut EventStream,
    target: i64,
    cancel_at: Option<i64>,
) -> eyre::Result<(String, i64)> {
    let goal_id = DoraNode::new_goal_id();
    let about = MetadataParameters::from([(GOAL_ID.to_owned(), Parameter::String(goal_id.clone()))]);
    node.send_output("goal".into(), about.clone(), target)?;
    while let Some(event) = events.recv() {
        let Event::Input { id, metadata, data } = event else { continue };
        if get_string_param(&metadata.parameters, GOAL_ID) != Some(goal_id.as_str()) {
            continue;
        }
        let reached: i64 = (&data).try_into()?;
        if id.as_str() == "feedback" {
            println!("{reached} of {target}");
            if cancel_at == Some(reached) {
                node.send_output("cancel".into(), about.clone(), ())?;
            }
        } else if let Some(status) = get_string_param(&metadata.parameters, GOAL_STATUS) {
            return Ok((status.to_owned(), reached));
        }
    }
    eyre::bail!("the server left before it finished the goal")
}
