//! A wall clock that is set back an hour: nothing notices.
//!
//! A test must not set the clock of the machine. But the wall clock is read once per run, as the anchor that all add to
//! the monotonic clock (`cargo xtask tidy` knows of no other place that waits or measures), so a run whose anchor is an
//! hour ahead is a run during which the clock was set back an hour.

use dora_daemon::{Event, Execution, PrepareOptions, Prepared, prepare};
use dora_gateways::{DataflowEvent, Outcome};
use dora_tests::{PATIENCE, Workbench, await_gone};

const HOUR_NS: u64 = 3_600_000_000_000;

fn outcome(prepared: &Prepared) -> (Outcome, String) {
    let mut execution = Execution::start(dora_tests::dora(), &prepared.plan).expect("a keeper");
    let mut printed = String::new();
    loop {
        match execution.next_event(Some(PATIENCE)) {
            Event::Finished(outcome) => return (outcome, printed),
            Event::Happened(DataflowEvent::Lines { lines, .. }) => printed += &(lines.join("\n") + "\n"),
            Event::TimedOut => panic!("nothing comes after\n{printed}"),
            _ => {}
        }
    }
}

#[test]
fn a_wall_clock_that_is_set_back_an_hour_disturbs_nothing() {
    let bench = Workbench::new();
    let file = bench.dataflow(
        "a.yml",
        "\
nodes:
  - id: ticker
    path: '{node}'
    args: ticker 5
    startup_timeout: 30
    health_check_timeout: 30
    inputs: { tick: dora/timer/millis/20 }
    outputs: [data]
  - id: sink
    path: '{node}'
    args: sink
    finish_grace_secs: 30
    inputs: { in: { source: ticker/data, input_timeout: 30 } }
",
    );
    let loaded = dora_descriptor::load(&file, &dora_descriptor::Options::default()).expect("a good file");
    let mut options = PrepareOptions::default();
    options.inherited_env.push(("DORA_TEST_MARK".into(), bench.mark().into()));
    let mut prepared = prepare(&loaded.dataflow, bench.path(), &options).expect("programs that exist");
    prepared.plan.clock_anchor_ns += HOUR_NS;
    let (outcome, printed) = outcome(&prepared);
    assert!(outcome.is_success(), "{outcome:?}\n{printed}");
    assert!(printed.contains("received 5 from 0 to 4, in order: true"), "{printed}");
    assert!(!printed.contains("recovered"), "{printed}");
    // No message seems to have travelled for more than a minute: bucket 36 ends at 69 s.
    let counters = &outcome.edges[0].counters;
    assert_eq!(counters.latency.iter().sum::<u64>(), 5);
    assert_eq!(counters.latency.iter().skip(36).sum::<u64>(), 0, "{:?}", counters.latency);
    await_gone(bench.mark(), PATIENCE);
}
