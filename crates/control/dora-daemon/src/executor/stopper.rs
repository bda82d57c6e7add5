//! Stops a dataflow, whatever it is doing: before its build, during it, while its nodes run.
//!
//! Orders go to the build or to the keeper from the thread of whoever gives them: the worker of the dataflow may be
//! waiting for a reader.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dora_gateways::{StopOptions, Urgency};
use dora_message::supervision::Ending;

use crate::{build::BuildControl, keeper::Control};

/// Time that nodes have to end by themselves if nobody said how long.
const GRACE: Duration = Duration::from_secs(10);

/// Time that a keeper has to kill all nodes when it is told to.
const KILL_TIME: Duration = Duration::from_secs(1);
/// Time that a keeper has besides what nodes have, however many there are and however busy the machine is.
const MARGIN: Duration = Duration::from_secs(10);

/// How a single node is stopped.
pub(super) fn ending(options: StopOptions) -> Ending {
    match options.urgency {
        Urgency::Ask => {
            let grace = options.grace.unwrap_or(GRACE);
            Ending::Ask { grace_ms: grace.as_millis().try_into().unwrap_or(u64::MAX) }
        }
        Urgency::Hurry => Ending::Hurry,
        Urgency::Kill => Ending::Kill,
    }
}

/// Stops one dataflow.
#[derive(Debug, Default)]
pub(super) struct Stopper {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The most urgent of the stops that were asked for.
    asked: Option<StopOptions>,
    /// What there is to be stopped.
    target: Option<Target>,
}

#[derive(Debug)]
enum Target {
    Build(BuildControl),
    Nodes(Control),
}

/// A stop has come before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

impl Stopper {
    /// Stops it. What is less urgent than a stop before changes nothing.
    pub(super) fn stop(&self, options: StopOptions) {
        let mut state = self.lock();
        if state.asked.is_some_and(|before| before.urgency > options.urgency) {
            return;
        }
        let first = state.asked.replace(options).is_none();
        state.apply(options, first);
    }

    /// Whether a stop was asked for.
    pub(super) fn is_asked(&self) -> bool {
        self.lock().asked.is_some()
    }

    /// So long the keeper may take from now on to end everything: it has been told to.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.lock().asked.map(|asked| match asked.urgency {
            // Half of the grace again is what those have that were asked more firmly.
            Urgency::Ask => {
                let grace = asked.grace.unwrap_or(GRACE);
                grace.saturating_add(grace / 2).saturating_add(MARGIN)
            }
            Urgency::Hurry => MARGIN,
            Urgency::Kill => KILL_TIME,
        })
    }

    /// Whether the nodes are to be killed.
    pub(super) fn kills(&self) -> bool {
        self.lock().asked.is_some_and(|asked| asked.urgency == Urgency::Kill)
    }

    /// The build begins: a stop cancels it.
    pub(super) fn builds(&self, control: BuildControl) -> Result<(), Stopped> {
        let mut state = self.lock();
        if state.asked.is_some() {
            return Err(Stopped);
        }
        state.target = Some(Target::Build(control));
        Ok(())
    }

    /// The build is over.
    pub(super) fn built(&self) -> Result<(), Stopped> {
        let mut state = self.lock();
        state.target = None;
        if state.asked.is_some() { Err(Stopped) } else { Ok(()) }
    }

    /// The nodes run: a stop is an order to their keeper. So is one that came while it was started.
    pub(super) fn runs(&self, control: Control) {
        let mut state = self.lock();
        state.target = Some(Target::Nodes(control));
        if let Some(asked) = state.asked {
            state.apply(asked, true);
        }
    }

    /// Nothing is left to be stopped.
    pub(super) fn over(&self) {
        self.lock().target = None;
    }

    /// What gives orders to the keeper, while there is one.
    pub(super) fn keeper(&self) -> Option<Control> {
        match &self.lock().target {
            Some(Target::Nodes(control)) => Some(control.clone()),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&self, options: StopOptions, first: bool) {
        match &self.target {
            None => {}
            Some(Target::Build(control)) => control.cancel(),
            Some(Target::Nodes(control)) => {
                let grace = options.grace.unwrap_or(GRACE);
                match options.urgency {
                    Urgency::Ask => control.stop(grace),
                    Urgency::Hurry => {
                        if first {
                            control.stop(grace);
                        }
                        control.hurry();
                    }
                    Urgency::Kill => control.kill(),
                }
                // The worker gives the keeper a time to obey.
                control.wake();
            }
        }
    }
}
