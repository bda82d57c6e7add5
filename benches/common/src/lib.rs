//! What every benchmark program shares: one clock, one rule of statistics, one CSV format.
//!
//! ```
//! use bench_common::{Csv, now_ns};
//! let start = now_ns();
//! let csv = Csv::new("floor");
//! csv.latency("futex_oneway_5ms", 8, vec![now_ns() - start]);
//! ```
//! It knows nothing of the systems that are measured.

mod args;
mod bare;
mod csv;
mod machine;
mod plan;
mod stats;

pub use args::Args;
pub use bare::{Bare, BareMemory};
pub use csv::{Csv, FIELDS, Row};
pub use machine::{now_ns, pin_to_cpu, sleep_ms, wait_until_quiet};
pub use plan::{GAP_MS, Plan, SIZES};
pub use stats::{median, percentile};

/// Result of a benchmark step: whatever goes wrong ends the program with the error's text.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
