//! What the components of the control plane ask of each other: the gateways, one file each, and their messages. Values
//! and traits only; what is done with them is in the endpoints.
//!
//! | gateway | Flink's | asked by | of |
//! |---|---|---|---|
//! | [`DispatcherGateway`] | `DispatcherGateway` | command line | coordinator: dataflows as a whole |
//! | [`ResourceManagerGateway`] | `ResourceManagerGateway` | daemons, dataflow masters | coordinator: machines and their slots |
//! | [`DataflowMasterGateway`] | `JobMasterGateway` | dispatcher, daemons | coordinator: one dataflow |
//! | [`NodeExecutorGateway`] | `TaskExecutorGateway` | dataflow masters, resource manager | daemon: the nodes of one machine |
//! | [`MetricQueryServiceGateway`] | `MetricQueryServiceGateway` | command line, dispatcher | coordinator and daemons: figures |
//!
//! A daemon dials the coordinator, never the other way round: its [`NodeExecutorGateway`] is an argument of
//! [`ResourceManagerGateway::register_daemon`] and is called back on the same connection.
//!
//! ```
//! use dora_gateways::{DataflowSelector, DispatcherError, DispatcherGateway, StopOptions};
//!
//! async fn stop(dispatcher: &impl DispatcherGateway, name: &str) -> Result<bool, DispatcherError> {
//!     let result = dispatcher.stop(DataflowSelector::from(name), StopOptions::default()).await?;
//!     Ok(result.is_success())
//! }
//! ```
//!
//! # Rules for changing a message
//!
//! Neighbouring versions talk with each other. A field or an argument is added with `#[serde(default)]`, and its default
//! means what the older version did; none is renamed, none changes its type. A variant is added to an enum only where
//! the older version never receives it, or receives it as an error of one call. A method may be added at any time: an
//! older endpoint answers `UnknownMethod`.

mod artifact;
mod build;
mod dataflow;
mod dataflow_master;
mod dispatcher;
mod error;
mod events;
mod logs;
mod metrics;
mod node_executor;
mod outcome;
mod placement;
mod resource_manager;
mod tap;

pub use artifact::{Artifact, ArtifactHash};
pub use build::{BuildEvent, BuildStep, Progress};
pub use dataflow::{
    Attempt, BuildMode, DataflowId, DataflowInfo, DataflowSelector, DataflowState, DataflowSummary, FileIdentity,
    LONGEST_NAME, NodeInfo, NodeState, Origin, StopOptions, Submission, Urgency,
};
pub use dataflow_master::{DataflowMasterCall, DataflowMasterError, DataflowMasterGateway, NodeUpdate};
pub use dispatcher::{DispatcherCall, DispatcherError, DispatcherGateway, ListFilter};
pub use error::Coded;
pub use events::{DataflowEvent, Watching};
pub use logs::{LogChunk, LogLine, LogQuery, LogSource};
pub use metrics::{
    EdgeMetrics, MachineMetrics, MetricQuery, MetricQueryServiceCall, MetricQueryServiceGateway, MetricsError,
    MetricsSnapshot, NodeMetrics,
};
pub use node_executor::{
    NodeExecutorCall, NodeExecutorError, NodeExecutorGateway, ObservedDataflow, ObservedNode, SpawnNodes,
};
pub use outcome::{DataflowResult, EdgeOutcome, NodeMistake, NodeOutcome, Outcome, Trouble};
pub use placement::{MachineId, NoFit, NodeRequirement, Obstacle, Placement, Resources};
pub use resource_manager::{
    DaemonRegistration, MachineInfo, Registered, ResourceManagerCall, ResourceManagerError, ResourceManagerGateway,
};
pub use tap::{OutputId, RawMessage, TapQuery, TappedMessage};
