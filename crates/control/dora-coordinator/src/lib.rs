//! What decides about dataflows: a [`Coordinator`] is a dispatcher, which takes them, a resource manager, which knows the
//! machines, and one master for each dataflow, which sees it through. What they can be asked is in dora-gateways.
//!
//! What a master has to do next is one pure function, [`plan()`](fn@plan). A start, a restart of the coordinator and the return of a daemon are the same thing: there is what a dataflow should be
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
//! let observed = [(here.clone(), MachineView::Reachable([].into()))].into();
//! let spawn = Action::Spawn { machine: here, nodes: vec![("camera".into(), Attempt(1))] };
//! assert_eq!(plan(&intended, &observed), [spawn]);
//! ```

mod blueprint;
mod coordinator;
mod dispatcher;
mod files;
mod master;
mod metrics;
mod plan;
mod resource_manager;
mod shared;
mod streams;

pub use coordinator::{Coordinator, CoordinatorError, CoordinatorOptions};
pub use plan::{Action, Found, Intended, IntendedNode, MachineView, Observed, Wanted, plan};
