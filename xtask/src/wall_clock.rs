//! Where the wall clock may be read. It can be set back an hour at any moment, so whatever waits, measures or orders asks
//! `CLOCK_MONOTONIC`, and what a user is shown comes from these places alone.

use std::path::Path;

/// How it is read. Written in two parts, so that this file does not find itself.
const READS: &[&str] = &[
    concat!("SystemTime", "::now"),
    concat!("Utc", "::now"),
    concat!("Local", "::now"),
    concat!("wall_ns", "()"),
    concat!("ClockId", "::Realtime"),
];

/// Where, and what for.
const HOMES: &[&str] = &[
    // The function itself.
    "crates/dataplane/dora-channel/src/os/linux/clock.rs",
    // Once per run: what all processes add to the monotonic clock to tell the time.
    "crates/control/dora-daemon/src/prepare/mod.rs",
    // Log lines "of the last hour", and when figures were taken.
    "crates/control/dora-daemon/src/executor/now.rs",
    // The same for a node that runs alone.
    "crates/node/dora-node/src/clock.rs",
    // When a dataflow was submitted.
    "crates/control/dora-coordinator/src/dispatcher/submit.rs",
    // The first epoch of a new store, which has to be later than those of the one before it.
    "crates/control/dora-store/src/store.rs",
    // When figures were taken.
    "crates/control/dora-coordinator/src/metrics.rs",
    // The name of a store that is put aside.
    "crates/app/dora-cli/src/command/up.rs",
    // The time before a line.
    "crates/app/dora-cli/src/log/",
];

/// Crates and folders whose programs nobody relies on.
const FREE: [&str; 4] = ["benches", "examples", "tests", "xtask"];

/// What is wrong with a source file, if anything.
pub fn violation(file: &Path, text: &str) -> Option<String> {
    let is_free = file.components().any(|part| FREE.iter().any(|free| part.as_os_str() == *free));
    let at_home = HOMES.iter().any(|home| file.to_string_lossy().starts_with(home));
    if is_free || at_home {
        return None;
    }
    let number = text.lines().position(|line| READS.iter().any(|read| line.contains(read)))? + 1;
    Some(format!(
        "{}:{number}: reads the wall clock, which may be set at any time; ask the monotonic clock, or add the file to {}",
        file.display(),
        file!()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_read_at_home_only() {
        for read in READS {
            let text = format!("fn now() {{\n    {read};\n}}");
            let found = violation(Path::new("crates/control/dora-keeper/src/stop.rs"), &text);
            assert!(found.is_some_and(|found| found.contains("stop.rs:2:")), "{read}");
            assert_eq!(violation(Path::new(HOMES[0]), &text), None);
            assert_eq!(violation(Path::new("crates/app/dora-cli/src/log/entry.rs"), &text), None);
            assert_eq!(violation(Path::new("crates/control/dora-daemon/tests/prepare.rs"), &text), None);
        }
        assert_eq!(violation(Path::new("crates/control/dora-keeper/src/stop.rs"), "Instant::now()"), None);
    }
}
