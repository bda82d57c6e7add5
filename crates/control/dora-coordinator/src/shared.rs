//! What all parts of a coordinator have in common.

use std::{sync::Arc, time::Duration};

use dora_gateways::ResourceManagerCall;
use dora_rpc::{FencingToken, Gateway, RpcService};
use dora_store::{Artifacts, Store};

/// Passed to each endpoint; what it leads to outlives them.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Starts masters.
    pub service: RpcService,
    /// What is remembered.
    pub store: Arc<Store>,
    /// This coordinator, to daemons.
    pub leader: FencingToken,
    /// Who knows the machines.
    pub resources: Gateway<ResourceManagerCall>,
    /// Files that travel with dataflows, if any are taken.
    pub artifacts: Option<Artifacts>,
    /// Silent for so long, a machine is lost.
    pub machine_timeout: Duration,
}
