//! Notices about values that other nodes dropped from the extension table. There is no such table in this version.

/// The keys of this namespace that were dropped since the last call: none.
pub fn drain_dropped_keys(_namespace: &str) -> Vec<String> {
    Vec::new()
}
