//! Waiting for a reply among other events.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::time::Duration;

use common::{LONG, name, node, start};
use dora_message::{
    keeper::ToNode,
    metadata::{
        GOAL_ID, GOAL_STATUS, GOAL_STATUS_SUCCEEDED, MetadataParameters, Parameter, REQUEST_ID, get_string_param,
    },
};
use dora_node::{DoraNode, Event, EventStream, PatternError};
use futures::executor::block_on;

struct Service {
    keeper: common::Keeper,
    client: DoraNode,
    replies: EventStream,
    server: DoraNode,
    requests: EventStream,
}

fn service() -> Service {
    let specs = [
        node("client").output("request").input("reply", "server/reply"),
        node("server").output("reply").input("request", "client/request"),
    ];
    let (keeper, mut nodes) = start(&specs);
    let (server, requests) = nodes.pop().unwrap();
    let (client, replies) = nodes.pop().unwrap();
    Service { keeper, client, replies, server, requests }
}

impl Service {
    fn request(&mut self, number: u64) -> String {
        let mut parameters = MetadataParameters::new();
        parameters.insert(REQUEST_ID.into(), "from an earlier message".into());
        self.client.send_service_request("request".into(), parameters, number).unwrap()
    }
    fn take_request(&mut self) -> (u64, MetadataParameters) {
        let Some(Event::Input { data, metadata, .. }) = self.requests.recv() else { panic!() };
        (u64::try_from(&data).unwrap(), metadata.parameters)
    }
    fn wait(&mut self, request_id: &str, patience: Duration) -> Result<Event, PatternError> {
        block_on(self.replies.recv_service_response(request_id, &"server".into(), patience))
    }
}

#[test]
fn replies_find_their_requests_in_any_order_and_nothing_else_is_lost() {
    let mut service = service();
    let (first, second) = (service.request(1), service.request(2));
    assert_ne!(first, second);
    let (requests, unrelated) = ([service.take_request(), service.take_request()], 77u64);
    service.server.send_output("reply".into(), MetadataParameters::new(), unrelated).unwrap();
    for (number, parameters) in requests.into_iter().rev() {
        service.server.send_service_response("reply".into(), parameters, number * 10).unwrap();
    }
    assert_eq!(name(&service.wait(&first, LONG).unwrap()), "reply 10");
    assert_eq!(name(&service.wait(&second, LONG).unwrap()), "reply 20", "it was passed over by the first wait");
    assert!(!service.replies.is_empty());
    assert_eq!(name(&service.replies.recv().unwrap()), "reply 77");
    assert!(service.replies.is_empty());
}

#[test]
fn a_wait_ends_when_there_is_no_hope() {
    let mut service = service();
    let request = service.request(1);
    assert!(matches!(service.wait(&request, Duration::from_millis(2)), Err(PatternError::Timeout)));
    service.keeper.mail("client", ToNode::NodeRestarted { node: "server".into() });
    let restarted = service.wait(&request, LONG);
    assert!(matches!(&restarted, Err(PatternError::ServerRestarted(node)) if node == "server"), "{restarted:?}");
    assert_eq!(
        name(&service.replies.recv().unwrap()),
        r#"NodeRestarted { id: "server" }"#,
        "the main loop sees it too"
    );
    service.keeper.died("server", Some("exited with code 9"));
    let failed = service.wait(&request, LONG);
    assert!(matches!(&failed, Err(PatternError::StreamError(text)) if text.contains("code 9")), "{failed:?}");
    assert!(matches!(service.wait(&request, LONG), Err(PatternError::StreamEnded)));
    let rest: Vec<_> = std::iter::from_fn(|| service.replies.recv()).map(|event| name(&event)).collect();
    assert_eq!(rest[1..], ["closed reply", "stop AllInputsClosed"], "{rest:?}");
}

#[test]
fn results_are_told_from_feedback() {
    let mut service = service();
    let goal = DoraNode::new_goal_id();
    let about = MetadataParameters::from([(GOAL_ID.to_owned(), Parameter::String(goal.clone()))]);
    service.server.send_output("reply".into(), about.clone(), 1u64).unwrap();
    let mut done = about;
    done.insert(GOAL_STATUS.to_owned(), GOAL_STATUS_SUCCEEDED.into());
    service.server.send_output("reply".into(), done, 2u64).unwrap();
    let result = block_on(service.replies.recv_action_result(&goal, &"server".into(), LONG)).unwrap();
    let Event::Input { metadata, .. } = &result else { panic!() };
    assert_eq!(get_string_param(&metadata.parameters, GOAL_STATUS), Some("succeeded"));
    assert_eq!(name(&result), "reply 2");
    assert_eq!(name(&service.replies.recv().unwrap()), "reply 1");
}
