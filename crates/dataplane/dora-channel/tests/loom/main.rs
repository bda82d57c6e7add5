//! Models of the lock-free core: every interleaving, and every stale value that the memory model allows.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --target-dir target-loom -p dora-channel --test loom
//! ```
//!
//! `DORA_TEST_FULL=1` looks deeper. Payload is a loom cell: loom reports any two accesses that nothing orders. A lost
//! wake-up is a deadlock. `mutations` weakens each ordering of the protocol alone and wants a model to fail.
#![cfg(loom)]
#![allow(unsafe_code, clippy::unwrap_used)]

mod deaths;
mod mutations;
mod queues;
mod waits;
mod world;

use std::sync::atomic::Ordering::SeqCst;

fn full() -> bool {
    std::env::var_os("DORA_TEST_FULL").is_some()
}

/// Checks a model completely, or up to a number of preemptions.
fn check(name: &str, preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = executions.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 100_000;
    let start = std::time::Instant::now();
    builder.check(move || {
        counter.fetch_add(1, SeqCst);
        model();
    });
    let seconds = start.elapsed().as_secs_f32();
    eprintln!("{name}: {} executions, at most {preemptions:?} preemptions, {seconds:.1} s", executions.load(SeqCst));
}

/// How many preemptions: some in the ordinary run, no limit in the full one.
fn unless_full(ordinary: usize) -> Option<usize> {
    (!full()).then_some(ordinary)
}

/// One more preemption in the full run, for models that are too large to be checked completely.
fn deeper(ordinary: usize) -> Option<usize> {
    Some(ordinary + usize::from(full()))
}
