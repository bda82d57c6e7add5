//! What becomes of the processes of a keeper that dies.
//!
//! Its nodes die with it. What they had left behind becomes ours, if this process is a child subreaper, and is killed.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, PoisonError},
};

use dora_keeper::cleanup::{Cleanup, kill_descendants};
use rustix::process::{child_subreaper, getpid, set_child_subreaper};

/// Keepers of this process that live, and their guards: their descendants are theirs. Descendants belong to a process, so this does too.
static LIVING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Makes this process the parent of everything its keepers leave behind if they are killed.
///
/// From then on the loss of a keeper kills all descendants of this process that belong to no living keeper, so call it
/// only in a process whose other children, if any, may end then too: `dora run` and the daemon.
pub fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// A keeper has started.
pub(crate) fn register(keeper: u32) {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner).insert(keeper);
}

/// A keeper has ended in order, and has left nothing.
pub(crate) fn forget(keeper: u32) {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner).remove(&keeper);
}

/// A keeper, which had these processes, has died: kills what it has left to us.
pub(crate) fn inherit(keeper: &[u32]) -> Cleanup {
    let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
    living.retain(|pid| !keeper.contains(pid));
    if !matches!(child_subreaper(), Ok(Some(_))) {
        return Cleanup::default();
    }
    // Under the lock, so that no keeper is started and killed between.
    kill_descendants(&living.iter().copied().collect::<Vec<_>>())
}
