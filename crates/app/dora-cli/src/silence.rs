//! Waiting for machines: when it takes long, the user reads which of them give no sign of life.

use std::{pin::pin, time::Duration};

use dora_gateways::{DispatcherCall, DispatcherGateway as _};
use dora_rpc::Gateway;
use tokio::time::timeout;

use crate::{error::tell_note, progress::Progress};

/// What is done sooner needs no word. By then the coordinator knows of a daemon that is gone.
const PATIENCE: Duration = Duration::from_secs(6);
/// And by then of one that hangs.
const MORE_PATIENCE: Duration = Duration::from_secs(8);

/// Waits for `work`; `what` stands beside it on a terminal.
pub(crate) async fn while_waiting<T>(
    dispatcher: &Gateway<DispatcherCall>,
    what: &str,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(Progress::new().waiting(what, work));
    for patience in [PATIENCE, MORE_PATIENCE] {
        if let Ok(done) = timeout(patience, &mut work).await {
            return done;
        }
        if tell_silent(dispatcher).await {
            break;
        }
    }
    work.await
}

/// Whether there were any.
async fn tell_silent(dispatcher: &Gateway<DispatcherCall>) -> bool {
    let machines = dispatcher.machines().await.unwrap_or_default();
    let silent: Vec<_> = machines.iter().filter(|machine| !machine.reachable).collect();
    for machine in &silent {
        tell_note(&format!(
            "machine `{}` gives no sign of life: nodes there cannot be started or stopped before its daemon is back \
             (`dora up` on that host); `dora stop --force` gives them up",
            machine.machine
        ));
    }
    !silent.is_empty()
}
