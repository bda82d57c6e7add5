//! How a node shows that it is alive: it is in a call of ours, or has left one not long ago.
//!
//! Only nodes with a `health_check_timeout` do; for all others it is one test of a `None`.

use dora_channel::Inside;

use crate::fork::{self, ProcessBound};

/// The pulse of a node, if anybody looks at it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Option<dora_channel::Pulse>);

/// Kept while a thread is in a call.
pub(crate) type InCall = Option<ProcessBound<Inside>>;

impl Pulse {
    pub(crate) fn new(pulse: Option<dora_channel::Pulse>) -> Self {
        Pulse(pulse)
    }

    /// A call begins. It ends when what this gives is dropped.
    #[inline]
    pub(crate) fn enter(&self) -> InCall {
        let pulse = self.0.as_ref()?;
        fork::check().is_ok().then(|| ProcessBound::new(pulse.enter()))
    }
}
