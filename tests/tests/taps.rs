//! Somebody looks at outputs of nodes that run.

use dora_daemon::{Event, Execution, PrepareOptions, TapReader, Tapped, prepare};
use dora_gateways::DataflowEvent;
use dora_tests::{PATIENCE, Workbench, await_gone};

/// A dataflow whose messages flow.
fn start(bench: &Workbench, text: &str) -> Execution {
    let file = bench.dataflow("a.yml", text);
    let loaded = dora_descriptor::load(&file, &dora_descriptor::Options::default()).expect("a good file");
    let mut options = PrepareOptions::default();
    options.inherited_env.push(("DORA_TEST_MARK".into(), bench.mark().into()));
    let prepared = prepare(&loaded.dataflow, bench.path(), &options).expect("programs that exist");
    let mut execution = Execution::start(dora_tests::dora(), &prepared.plan).expect("a keeper");
    until(&mut execution, |event| matches!(event, Event::Happened(DataflowEvent::AllReady)).then_some(()));
    execution
}

fn until<T>(execution: &mut Execution, mut fits: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        match execution.next_event(Some(PATIENCE)) {
            event @ (Event::TimedOut | Event::Finished(_)) => panic!("{event:?}"),
            event => {
                if let Some(found) = fits(event) {
                    return found;
                }
            }
        }
    }
}

fn look(execution: &mut Execution, tap: u64, node: &str, capacity: u32) -> TapReader {
    execution.control().tap(tap, node.into(), "data".into(), capacity);
    until(execution, |event| match event {
        Event::Tapped { tap: of, reader } if of == tap => Some(reader),
        _ => None,
    })
}

/// The number that a message starts with.
fn number(message: &dora_channel::Message) -> u64 {
    u64::from_le_bytes(*message.payload().first_chunk().expect("a number"))
}

fn next(reader: &mut TapReader) -> dora_channel::Message {
    match reader.next(Some(PATIENCE)) {
        Tapped::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn end(mut execution: Execution, bench: &Workbench) {
    execution.control().stop(std::time::Duration::ZERO);
    while !matches!(execution.next_event(Some(PATIENCE)), Event::Finished(_)) {}
    await_gone(bench.mark(), PATIENCE);
}

#[test]
fn a_source_that_never_receives_and_that_nobody_reads_is_looked_at() {
    let bench = Workbench::new();
    let text = "nodes: [{ id: a, path: '{node}', args: beat 1, outputs: [data] }]";
    let mut execution = start(&bench, text);
    let mut reader = look(&mut execution, 1, "a", 1000);
    let first = number(&next(&mut reader));
    for number in first + 1..first + 20 {
        assert_eq!(self::number(&next(&mut reader)), number);
    }
    assert_eq!(reader.missed(), 0);
    // Who waits can be called off.
    let end_of_wait = reader.end();
    let waiting = std::thread::spawn(move || while !matches!(reader.next(None), Tapped::Over) {});
    end_of_wait.end();
    waiting.join().expect("it ends");
    execution.control().untap(1);
    let mut again = look(&mut execution, 2, "a", 10);
    assert!(number(&next(&mut again)) > first);
    end(execution, &bench);
    while !matches!(again.next(Some(PATIENCE)), Tapped::Over) {}
}

#[test]
fn who_looks_slowly_reads_whole_messages_and_delays_nobody() {
    const SIZE: usize = 1 << 20;
    let bench = Workbench::new();
    let text = format!(
        "
nodes:
  - {{ id: a, path: '{{node}}', args: flood {SIZE}, outputs: [data] }}
  - {{ id: b, path: '{{node}}', args: sink, inputs: {{ in: {{ source: a/data, queue_policy: backpressure }} }} }}
"
    );
    let mut execution = start(&bench, &text);
    let mut reader = look(&mut execution, 1, "a", 2);
    let held = next(&mut reader);
    let first = number(&held);
    // Meanwhile many others were sent: memory is used again and again, but not that of what somebody holds.
    let mut last = first;
    while last < first + 100 {
        let message = next(&mut reader);
        assert_eq!(message.payload().last_chunk(), message.payload().first_chunk::<8>(), "torn");
        assert!(number(&message) > last);
        last = number(&message);
    }
    assert_eq!((number(&held), held.payload().last_chunk()), (first, held.payload().first_chunk::<8>()));
    drop((held, reader));
    execution.control().ask_figures(1);
    let figures = until(&mut execution, |event| match event {
        Event::Figures { serial: 1, figures } => Some(figures),
        _ => None,
    });
    // The other consumer may have a full queue, and one message on its way to it, still before it.
    let edge = &figures.edges[0];
    assert!(edge.counters.received + u64::from(edge.capacity) + 1 >= last, "{figures:?}");
    assert_eq!(edge.counters.dropped, 0);
    end(execution, &bench);
}
