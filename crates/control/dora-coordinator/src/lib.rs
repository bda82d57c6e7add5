//! What decides about dataflows. So far one part of it, which no command uses yet: [`plan()`](fn@plan), what the master of
//! a dataflow has to do next.
//!
//! A start, a restart of the coordinator and the return of a daemon are the same thing: there is what a dataflow should be
//! ([`Intended`]), there is what its machines say it is ([`Observed`]), and the difference is work ([`Action`]). The
//! function has no memory, no clock and no side effects, so every history can be tested as one call.
//!
//! ```
//! use dora_coordinator::{Action, Intended, IntendedNode, MachineView, Wanted, plan};
//! use dora_gateways::{Attempt, MachineId};
//!
//! let here = MachineId("here".to_owned());
//! let node = IntendedNode { machine: here.clone(), attempt: Attempt(1), wanted: Wanted::Running };
//! let intended = Intended { nodes: [("camera".into(), node)].into(), released: [].into() };
//! let observed = [(here.clone(), MachineView::Reachable(vec![]))].into();
//! let spawn = Action::Spawn { machine: here, nodes: vec![("camera".into(), Attempt(1))] };
//! assert_eq!(plan(&intended, &observed), [spawn]);
//! ```

mod plan;

pub use plan::{Action, Intended, IntendedNode, MachineView, Observed, Wanted, plan};
