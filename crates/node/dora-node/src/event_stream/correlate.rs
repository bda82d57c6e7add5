//! Waiting for one reply among other events. What comes meanwhile is kept and given later, in order.

use std::{future::poll_fn, time::Duration};

use dora_message::{
    id::NodeId,
    metadata::{
        GOAL_ID, GOAL_STATUS, GOAL_STATUS_ABORTED, GOAL_STATUS_CANCELED, GOAL_STATUS_SUCCEEDED, MetadataParameters,
        REQUEST_ID, get_string_param,
    },
};

use super::{Event, EventStream, Next, deadline_in};
use crate::error::PatternError;

/// The most events that are kept while a reply is waited for.
const MAX_STASH: usize = 1 << 16;

impl EventStream {
    /// Waits for the response to the request with this id, without blocking the thread. A restart or failure of
    /// `expected_server` ends the wait. Whatever else comes is kept for the next receive.
    ///
    /// # Errors
    /// [`PatternError::Timeout`] after `timeout`; [`PatternError::ServerRestarted`] if the server was started again,
    /// which lost the request; [`PatternError::StreamEnded`]; [`PatternError::StreamError`] if the server failed, an
    /// [`Event::Error`] came, or more than 65,536 other events piled up.
    pub async fn recv_service_response(
        &mut self,
        request_id: &str,
        expected_server: &NodeId,
        timeout: Duration,
    ) -> Result<Event, PatternError> {
        let is_reply = |parameters: &MetadataParameters| get_string_param(parameters, REQUEST_ID) == Some(request_id);
        self.recv_reply(is_reply, expected_server, timeout).await
    }

    /// Waits for the result of the goal with this id: a message with this `goal_id` and a `goal_status`. Feedback is
    /// kept for the next receive, like everything else.
    ///
    /// # Errors
    /// As [`Self::recv_service_response`].
    pub async fn recv_action_result(
        &mut self,
        goal_id: &str,
        expected_server: &NodeId,
        timeout: Duration,
    ) -> Result<Event, PatternError> {
        let is_reply = |parameters: &MetadataParameters| {
            let status = get_string_param(parameters, GOAL_STATUS);
            let is_final = [GOAL_STATUS_SUCCEEDED, GOAL_STATUS_ABORTED, GOAL_STATUS_CANCELED];
            get_string_param(parameters, GOAL_ID) == Some(goal_id) && status.is_some_and(|s| is_final.contains(&s))
        };
        self.recv_reply(is_reply, expected_server, timeout).await
    }

    async fn recv_reply(
        &mut self,
        is_reply: impl Fn(&MetadataParameters) -> bool,
        server: &NodeId,
        timeout: Duration,
    ) -> Result<Event, PatternError> {
        let is_reply = |event: &Event| match event {
            Event::Input { metadata, .. } => is_reply(&metadata.parameters),
            _ => false,
        };
        // An earlier wait may have passed it over. What is kept there of restarts and failures was reported then.
        if let Some(at) = self.stash.iter().position(is_reply)
            && let Some(event) = self.stash.remove(at)
        {
            return Ok(event);
        }
        let _in_call = self.enter();
        let deadline = Some(deadline_in(timeout));
        loop {
            let event = match poll_fn(|cx| self.poll_unseen(cx, deadline)).await {
                Next::Event(event) => event,
                Next::Nothing => return Err(PatternError::Timeout),
                Next::Over => return Err(PatternError::StreamEnded),
            };
            if is_reply(&event) {
                return Ok(event);
            }
            let end = hopeless(&event, server);
            self.stash.push_back(event);
            if let Some(error) = end {
                return Err(error);
            }
            if self.stash.len() >= MAX_STASH {
                return Err(PatternError::StreamError(format!("{MAX_STASH} other events came first")));
            }
        }
    }
}

/// Why there is no point in waiting on after this event.
fn hopeless(event: &Event, server: &NodeId) -> Option<PatternError> {
    match event {
        Event::NodeRestarted { id } if id == server => Some(PatternError::ServerRestarted(id.to_string())),
        Event::NodeFailed { source_node_id, error, .. } if source_node_id == server => {
            Some(PatternError::StreamError(format!("node `{server}` failed: {error}")))
        }
        Event::Error(text) => Some(PatternError::StreamError(text.clone())),
        _ => None,
    }
}
