//! What happens in a dataflow, shown as it happens: for `dora run`, and for `dora start --attach`.
//!
//! `Watch` gets events and gives orders until everything is over; `Screen` shows them. `orders` is what Ctrl-C does,
//! `explain` tells what will happen, `dynamic` who joins and leaves, `summary` what has happened, `failures` which of many
//! are worth a line, `strangers` which module nodes imported instead of ours.

mod dynamic;
mod explain;
mod failures;
mod orders;
mod screen;
mod strangers;
mod summary;

use std::{pin::pin, process::ExitCode, time::Duration};

use dora_gateways::{
    DataflowEvent, DataflowId, DataflowResult, DispatcherCall, DispatcherError, DispatcherGateway as _, Trouble,
    Urgency, Watching,
};
use dora_rpc::{Gateway, RpcStream, Streamed};
use tokio::{runtime::Runtime, time::Instant};

use crate::{log::Printer, signals::Interrupts, stdout};
use orders::{Orders, Stopper};
pub(crate) use screen::{Detail, Screen};

/// A dataflow that is watched from its start to its end.
pub(crate) struct Watch<'a> {
    pub runtime: &'a Runtime,
    pub dispatcher: &'a Gateway<DispatcherCall>,
    pub dataflow: DataflowId,
    /// How much may be missed; as it was submitted.
    pub watching: Watching,
    /// Time that nodes have to end by themselves when they are asked to stop.
    pub grace: Duration,
    /// Whether it counts as failed when Ctrl-C kills it: where nobody but this command says how it ended.
    pub killed_is_failed: bool,
    /// The nodes are asked to stop after this time.
    pub stop_after: Option<Duration>,
}

/// How it ended.
pub(crate) struct Ended {
    pub result: DataflowResult,
    /// The user has killed it, and that counts.
    killed: bool,
}

impl Ended {
    /// Whether nodes were kept from being started: what is wrong is to be shown with the user's file.
    pub(crate) fn never_started(&self) -> Option<&Trouble> {
        let trouble = self.result.outcome.trouble.as_ref();
        trouble.filter(|trouble| matches!(trouble, Trouble::Mistakes(_) | Trouble::Build(_)))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.result.is_success() && !self.killed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Something to act upon.
enum Next {
    Event(Option<DataflowEvent>),
    Interrupted,
    /// Nobody reads what is shown any more.
    Abandoned,
    TimeIsOver,
}

impl Watch<'_> {
    /// Shows everything until the dataflow is over.
    ///
    /// # Errors
    /// The coordinator was lost: nothing is known of the dataflow then.
    pub(crate) fn follow(
        &self,
        interrupts: &Interrupts,
        printer: Printer,
        detail: Detail,
    ) -> Result<Ended, DispatcherError> {
        let stopper = Stopper::new(self.runtime.handle().clone(), self.dispatcher, self.dataflow, self.grace);
        let mut orders = Orders::follow(interrupts, stopper.clone());
        let mut due = self.stop_after.and_then(|time| Instant::now().checked_add(time));
        let mut screen = Screen::new(printer, detail);
        let mut events = self.runtime.block_on(self.dispatcher.events(self.dataflow.into(), self.watching))?;
        let mut abandoned = pin!(stdout::abandoned());
        let mut is_read = true;
        loop {
            let next = async {
                tokio::select! {
                    biased;
                    () = &mut abandoned, if is_read => Ok(Next::Abandoned),
                    next = next(&mut events, &orders, due) => next,
                }
            };
            match self.runtime.block_on(next)? {
                Next::Event(Some(DataflowEvent::Finished(result))) => {
                    // The end may be quicker than the news of the Ctrl-C that brought it.
                    screen.interrupted(orders.news());
                    let ended = Ended { result, killed: self.killed_is_failed && orders.count() >= Orders::KILL };
                    if ended.never_started().is_none() {
                        screen.summary(&ended.result.outcome, ended.killed);
                    }
                    return Ok(ended);
                }
                Next::Event(Some(event)) => {
                    if screen.show(event).is_err() {
                        stopper.stop(Urgency::Ask);
                    }
                }
                Next::Event(None) => return Err(ended_early()),
                Next::Interrupted => screen.interrupted(orders.news()),
                Next::Abandoned => {
                    is_read = false;
                    if screen.stdout_abandoned().is_err() {
                        stopper.stop(Urgency::Ask);
                    }
                }
                Next::TimeIsOver => {
                    due = None;
                    screen.detail("the time given by --stop-after is over: the nodes are asked to stop".to_owned());
                    stopper.stop(Urgency::Ask);
                }
            }
        }
    }
}

/// What comes next: an interrupt is told before what follows from it.
async fn next(
    events: &mut RpcStream<DataflowEvent>,
    orders: &Orders,
    due: Option<Instant>,
) -> Result<Next, DispatcherError> {
    let time_is_over = pin!(async {
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    });
    tokio::select! {
        biased;
        () = orders.more() => Ok(Next::Interrupted),
        event = events.next() => Ok(Next::Event(match event? {
            Some(Streamed::Item(event)) => Some(event),
            Some(Streamed::Dropped(lines)) => Some(DataflowEvent::Missed { lines }),
            None => None,
        })),
        () = time_is_over => Ok(Next::TimeIsOver),
    }
}

fn ended_early() -> DispatcherError {
    dora_rpc::RpcError::Disconnected { reason: "the events of the dataflow ended before the dataflow".to_owned() }
        .into()
}
