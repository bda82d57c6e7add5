//! What each Ctrl-C does to a dataflow that is watched: ask, make haste, kill, leave.
//!
//! The orders go out from the thread of the signals, so that they work while the main thread waits for a terminal; the
//! main thread only tells about them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use dora_gateways::{DataflowId, DispatcherCall, DispatcherGateway as _, StopOptions, Urgency};
use dora_rpc::Gateway;
use tokio::{runtime::Handle, sync::Notify};

use crate::signals::{self, Interrupts};

/// How long the answer to a stop is waited for, which comes when everything is over.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Stops a dataflow, from any thread.
#[derive(Clone)]
pub(super) struct Stopper {
    runtime: Handle,
    dispatcher: Gateway<DispatcherCall>,
    dataflow: DataflowId,
    grace: Duration,
}

impl Stopper {
    pub(super) fn new(
        runtime: Handle,
        dispatcher: &Gateway<DispatcherCall>,
        dataflow: DataflowId,
        grace: Duration,
    ) -> Self {
        Self { runtime, dispatcher: dispatcher.within(PATIENCE), dataflow, grace }
    }

    /// Sends the order, and waits for nothing: that the dataflow is over is told by its events.
    pub(super) fn stop(&self, urgency: Urgency) {
        let (dispatcher, dataflow) = (self.dispatcher.clone(), self.dataflow);
        let options = StopOptions { grace: Some(self.grace), urgency };
        self.runtime.spawn(async move { dispatcher.stop(dataflow.into(), options).await });
    }
}

/// The interrupts that were orders.
pub(super) struct Orders {
    shared: Arc<Shared>,
    told: u32,
}

#[derive(Default)]
struct Shared {
    count: AtomicU32,
    more: Notify,
}

impl Orders {
    /// The third interrupt kills; whoever still waits leaves with the next.
    pub(super) const KILL: u32 = 3;

    /// From now on an interrupt is an order; so is one that came before.
    pub(super) fn follow(interrupts: &Interrupts, stopper: Stopper) -> Self {
        let shared = Arc::new(Shared::default());
        let heard = Arc::clone(&shared);
        interrupts.tell(move |number| {
            // Before the order: whoever sees its effects must see the reason.
            heard.count.store(number, Relaxed);
            match number {
                1 => stopper.stop(Urgency::Ask),
                2 => stopper.stop(Urgency::Hurry),
                Self::KILL => stopper.stop(Urgency::Kill),
                _ => signals::leave(),
            }
            heard.more.notify_one();
        });
        Self { shared, told: 0 }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u32 {
        self.shared.count.load(Relaxed)
    }

    /// Completes when there are more than were told.
    pub(super) async fn more(&self) {
        self.shared.more.notified().await;
    }

    /// What to tell about those that came since the last call.
    pub(super) fn news(&mut self) -> Option<&'static str> {
        let now = self.count();
        let before = std::mem::replace(&mut self.told, now);
        match (before < now, now) {
            (true, 1) => Some("stopping the nodes; Ctrl-C again ends them with SIGTERM"),
            (true, 2) => Some("SIGTERM to the nodes, SIGKILL in two seconds; Ctrl-C again kills them now"),
            (true, _) => Some("killing the nodes; Ctrl-C again leaves at once"),
            (false, _) => None,
        }
    }
}
