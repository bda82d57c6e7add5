//! kill -9, round after round: nobody hangs, nothing is left.
//!
//! Every second round one process of the dataflow is stopped (SIGSTOP) before the kill, so that it can help nobody.

use std::sync::{Mutex, PoisonError};

use dora_tests::{
    Holdings, PATIENCE, Running, Workbench, await_gone, await_holdings, await_shared_memory, marked_processes, rounds,
    shared_memory,
};
use rustix::process::{Pid, Signal, kill_process};

const DATAFLOW: &str = "\
nodes:
  - id: flood
    path: '{node}'
    args: flood 1000000
    outputs: [data]
  - id: hold
    path: '{node}'
    args: hold 4
    inputs: { in: flood/data }
  - id: slow
    path: '{node}'
    args: sink
    inputs: { in: { source: flood/data, queue_size: 3, queue_policy: backpressure } }
  - id: bystander
    path: '{node}'
    args: sink bystander
    inputs: { in: { source: flood/data, queue_size: 20 } }
";

/// Shared memory that other programs of the machine may have taken meanwhile. Each round uses about as much, so a leak
/// per round cannot hide here.
const TOLERANCE: u64 = 32 << 20;
/// Mappings that a process may make for reasons of its own: stacks of threads, pieces of its heap, chunks for messages.
const MORE_MAPPINGS: usize = 8;
/// A process of the dataflow.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Producer,
    Holder,
    Keeper,
    Run,
}

impl Victim {
    fn find(self, bench: &Workbench, run: &Running) -> Pid {
        let ending = match self {
            Self::Run => return run.pid(),
            Self::Producer => "flood 1000000",
            Self::Holder => "hold 4",
            Self::Keeper => return bench.keeper(),
        };
        bench.process(ending)
    }
}

/// One round: everything runs and holds memory, then the victims are killed.
fn round(bench: &Workbench, victims: &[Victim], with_stopped: bool) {
    let run = bench.dora(["run", "a.yml"]);
    for text in ["flooding", "holding 4", "slow: receiving", "bystander: receiving"] {
        run.await_text(text);
    }
    if with_stopped {
        kill_process(bench.process("sink bystander"), Signal::STOP).expect("a process that runs");
    }
    let victims: Vec<(Victim, Pid)> = victims.iter().map(|victim| (*victim, victim.find(bench, &run))).collect();
    let survivors = holdings(bench, &victims);
    for (_, pid) in &victims {
        // The death of the first may already have ended the second.
        let _ = kill_process(*pid, Signal::KILL);
    }
    let ends_by_itself = victims.iter().any(|(victim, _)| matches!(victim, Victim::Keeper | Victim::Run));
    if !ends_by_itself {
        // Its peers have heard of it: those that wait for the dead are released, those that go on go on.
        let expected = if victims.iter().any(|(victim, _)| matches!(victim, Victim::Producer)) {
            "slow: failed: flood"
        } else {
            "node `hold` was killed by SIGKILL"
        };
        run.await_text(expected);
        check_survivors(&survivors);
        run.signal(Signal::INT);
        if with_stopped {
            run.await_text("stopping the nodes");
            run.signal(Signal::INT);
        }
    }
    let was_run = victims.iter().any(|(victim, _)| matches!(victim, Victim::Run));
    let run = run.finish();
    assert_eq!(run.code, if was_run { None } else { Some(1) }, "{}\n{}", run.stdout, run.stderr);
    assert!(!run.stderr.contains("torn"), "{}", run.stderr);
    await_gone(bench.mark(), PATIENCE);
}

/// What the processes hold that are not about to die.
fn holdings(bench: &Workbench, victims: &[(Victim, Pid)]) -> Vec<(i32, Holdings)> {
    let dies = |pid: i32| victims.iter().any(|(_, victim)| victim.as_raw_pid() == pid);
    let survivors = marked_processes(bench.mark()).into_keys().filter(|pid| !dies(*pid));
    survivors.map(|pid| (pid, Holdings::of(pid))).collect()
}

/// The death of a peer costs its survivors neither descriptors nor mappings.
fn check_survivors(survivors: &[(i32, Holdings)]) {
    // Each has heard of it, and closes what it has of the dead in its own time.
    survivors.iter().for_each(|(pid, before)| await_holdings(*pid, before.and(0, MORE_MAPPINGS)));
}

fn kill_rounds(victims: &[Victim]) {
    // Another test of this kind would use shared memory of the same size.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let bench = Workbench::new();
    bench.dataflow("a.yml", DATAFLOW);
    // Whatever a machine keeps of the first dataflow it keeps now.
    round(&bench, victims, false);
    let before = shared_memory();
    for number in 0..rounds(6, 200) {
        round(&bench, victims, number % 2 == 1);
    }
    await_shared_memory(before + TOLERANCE);
}

#[test]
fn consumer_that_holds_messages() {
    kill_rounds(&[Victim::Holder]);
}

#[test]
fn producer_with_queued_messages() {
    kill_rounds(&[Victim::Producer]);
}

#[test]
fn producer_and_consumer() {
    kill_rounds(&[Victim::Producer, Victim::Holder]);
}

#[test]
fn keeper() {
    kill_rounds(&[Victim::Keeper]);
}

#[test]
fn dora_run_itself() {
    kill_rounds(&[Victim::Run]);
}
