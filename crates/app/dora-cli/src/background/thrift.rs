//! Memory that a process which runs for weeks does not keep for the one minute in which it was needed.

use std::time::Duration;

use dora_channel::os::heap;
use tokio::{sync::watch, time::sleep};

/// So long after something has ended: what ends with it costs nothing more, and what begins at once is not delayed.
const REST: Duration = Duration::from_secs(1);

/// Gives back what the heap has free, some time after clients or dataflows have left, which are counted. Idle as long as
/// none does; ends with who counts.
pub(crate) async fn give_back(mut departures: watch::Receiver<u64>) {
    while departures.changed().await.is_ok() {
        sleep(REST).await;
        departures.mark_unchanged();
        heap::trim();
    }
}
