//! Plays nodes of the dataflows under test: `dora-test-node ROLE [NUMBER [NUMBER]]`.
//!
//! What a role has to tell it prints in one line, which tests wait for.

mod consumers;
mod counted;
mod dynamic;
mod fork;
mod producers;
mod restarts;

use std::process::ExitCode;

use dora_node_api::{DoraNode, EventStream, NodeResult};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let role = arguments.first().map(String::as_str).unwrap_or_default();
    let number = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let second = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    let outcome = match role {
        "source" => producers::source(number),
        "flood" => producers::flood(number),
        "numbered" => producers::numbered(number),
        "big" => producers::big(number),
        "err" => producers::err(number),
        "beat" => producers::beat(number),
        "late" => producers::late(number),
        "leave" => producers::leave(number),
        "ticker" => producers::ticker(number),
        "fail" => return producers::fail(number),
        "sink" => consumers::sink(),
        "hold" => consumers::hold(number),
        "stuck" => consumers::stuck(),
        "linger" => consumers::linger(),
        "busy" => consumers::busy(),
        "listen" => consumers::listen(),
        "log" => producers::log(),
        "tell" => consumers::tell(),
        "crashing-source" => restarts::source(number, second),
        "crashing-sink" => restarts::sink(number, second),
        "relay" => restarts::relay(),
        "fail-first" => restarts::fail_first(),
        "pump" => counted::pump(number),
        "tally" => counted::tally(),
        "ask" => counted::ask(),
        "answer" => counted::answer(),
        "cycle" => dynamic::cycle(number),
        "keep" => dynamic::keep(),
        "fork" => fork::read_in_child(),
        _ => Err(format!("unknown role `{role}`").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts as the dataflow says, or joins as the dynamic node that `DORA_TEST_JOIN` names.
fn start() -> NodeResult<(DoraNode, EventStream)> {
    match std::env::var("DORA_TEST_JOIN") {
        Ok(id) => DoraNode::init_from_node_id(id.into()),
        Err(_) => DoraNode::init_from_env(),
    }
}

/// What a role gives back.
type Outcome = Result<(), Box<dyn std::error::Error>>;
