//! What the end-to-end tests are made of: a place for files, the real `dora`, nodes with roles, a look at what is left.
//!
//! ```no_run
//! use dora_tests::Workbench;
//!
//! let bench = Workbench::new();
//! bench.write("hello.yml", "nodes:\n  - id: hello\n    path: hello.sh\n");
//! bench.script("hello.sh", "echo hello");
//! let run = bench.dora(["run", "hello.yml"]).finish();
//! assert_eq!(run.code, Some(0));
//! assert!(run.stdout.contains("hello"));
//! ```
//!
//! Every test has a directory and a mark of its own, so tests run side by side. The mark is an environment variable that
//! every process of the test inherits: that is how leftovers are found. Waiting always has a deadline; a test that
//! waits in vain fails and shows what the processes printed.

mod binaries;
mod cluster;
pub mod flows;
mod footprint;
mod havoc;
mod leftovers;
pub mod page;
pub mod reader;
mod running;
mod web;
mod workbench;

pub use binaries::{dora, programs, target_dir, test_node, test_runner};
pub use cluster::{Cluster, free_port};
pub use footprint::Footprint;
pub use havoc::Havoc;
pub use leftovers::{
    Holdings, await_end, await_gone, await_holdings, await_shared_memory, eventually, halt, marked_processes,
    resident_kib, shared_memory,
};
pub use running::{Finished, Running, expect_in};
pub use web::{Answer, WebServer};
pub use workbench::Workbench;

/// How long anything may take before a test gives up.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Number of rounds of a test that repeats itself: `few`, or `many` when `DORA_TEST_FULL` is 1.
pub fn rounds(few: usize, many: usize) -> usize {
    if is_full() { many } else { few }
}

/// Whether the counts of a release are asked for.
pub fn is_full() -> bool {
    std::env::var("DORA_TEST_FULL").is_ok_and(|value| value == "1")
}
