//! Counts up to the goal, one step per tick, tells how far it is, and stops when it is told to.

use dora_node_api::{
    DoraNode, Event, GOAL_ID, GOAL_STATUS, GOAL_STATUS_CANCELED, GOAL_STATUS_SUCCEEDED, MetadataParameters, NodeResult,
    Parameter, get_string_param,
};

/// The goal that is worked on.
struct Goal {
    id: String,
    target: i64,
    reached: i64,
}

fn main() -> eyre::Result<()> {
    let (mut node, mut events) = DoraNode::init_from_env()?;
    let mut current: Option<Goal> = None;
    while let Some(event) = events.recv() {
        match event {
            Event::Input { id, metadata, data } => match id.as_str() {
                "goal" => {
                    let goal_id = get_string_param(&metadata.parameters, GOAL_ID);
                    let id = goal_id.ok_or_else(|| eyre::eyre!("a goal without a `{GOAL_ID}`"))?.to_owned();
                    current = Some(Goal { id, target: (&data).try_into()?, reached: 0 });
                }
                "cancel" => {
                    let canceled = get_string_param(&metadata.parameters, GOAL_ID);
                    if let Some(goal) = current.take_if(|goal| canceled == Some(goal.id.as_str())) {
                        send_result(&mut node, &goal, GOAL_STATUS_CANCELED)?;
                    }
                }
                _tick => {
                    if let Some(goal) = &mut current {
                        goal.reached += 1;
                        node.send_output("feedback".into(), about(goal), goal.reached)?;
                    }
                    if let Some(goal) = current.take_if(|goal| goal.reached == goal.target) {
                        send_result(&mut node, &goal, GOAL_STATUS_SUCCEEDED)?;
                    }
                }
            },
            // The timer never ends, so the end of the goals is what ends this node.
            Event::InputClosed { id } if id.as_str() == "goal" => break,
            Event::Stop(_) => break,
            _ => {}
        }
    }
    Ok(())
}

fn send_result(node: &mut DoraNode, goal: &Goal, status: &str) -> NodeResult<()> {
    let mut parameters = about(goal);
    parameters.insert(GOAL_STATUS.to_owned(), Parameter::String(status.to_owned()));
    node.send_output("result".into(), parameters, goal.reached)
}

fn about(goal: &Goal) -> MetadataParameters {
    MetadataParameters::from([(GOAL_ID.to_owned(), Parameter::String(goal.id.clone()))])
}
