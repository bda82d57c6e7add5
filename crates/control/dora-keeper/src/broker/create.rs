//! How the edges are made: one ring each, and for each node what it shares with others.

use std::{collections::HashSet, rc::Rc};

use dora_channel::{
    MAX_EDGES,
    broker::{BrokerError, Budget, NodeChannels},
};
use dora_message::{
    id::NodeId,
    supervision::{EdgePlan, EdgeSource, LaunchPlan},
};
use rustix::process::{Resource, getrlimit};

use super::{
    Edge, Member, Presence, Wiring,
    links::{Link, Links},
    member_id,
};

/// Why the edges cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WiringError {
    /// The system or dora-channel refused.
    #[error(transparent)]
    Broker(BrokerError),
    /// There are too few descriptors.
    #[error(
        "{source}. {nodes} nodes with {edges} edges need about {descriptors} descriptors, a process may have {allowed}: \
         `ulimit -Hn` shows the limit, `nofile` in /etc/security/limits.conf or `LimitNOFILE=` of a systemd unit raises it"
    )]
    Descriptors { source: BrokerError, nodes: usize, edges: usize, descriptors: usize, allowed: u64 },
    /// More edges than a producer has bits for.
    #[error("node `{node}` has more than {MAX_EDGES} outgoing edges")]
    TooManyEdges { node: NodeId },
    /// The plan contradicts itself.
    #[error("edge {edge} refers to a node that does not exist")]
    UnknownNode { edge: usize },
}

fn refused(source: BrokerError, plan: &LaunchPlan) -> WiringError {
    if !source.is_for_want_of_descriptors() {
        return WiringError::Broker(source);
    }
    WiringError::Descriptors {
        source,
        nodes: plan.nodes.len(),
        edges: plan.edges.len(),
        descriptors: descriptors(plan),
        allowed: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
    }
}

/// How many descriptors the keeper holds while the nodes start.
fn descriptors(plan: &LaunchPlan) -> usize {
    8 * plan.nodes.len() + plan.edges.len() + 16
}

impl Wiring {
    pub(crate) fn create(plan: &LaunchPlan) -> Result<Self, WiringError> {
        let broker = |source| refused(source, plan);
        let keeper = plan.nodes.len();
        let feeds = plan.edges.iter().any(|edge| sender(edge, keeper) == keeper);
        let members = keeper + usize::from(feeds);
        let create = |number| NodeChannels::create(member_id(plan, number).as_str(), plan.memory_budget).map(Rc::new);
        let channels = (0..members).map(create).collect::<Result<Vec<_>, _>>().map_err(broker)?;
        let mut bits = vec![0_usize; members];
        let mut edges = Vec::with_capacity(plan.edges.len());
        for (number, edge) in plan.edges.iter().enumerate() {
            let (from, of, to) = (sender(edge, keeper), edge.from.node().map(|node| node as usize), edge.to as usize);
            let is_known = of.is_none_or(|node| node < keeper) && to < keeper;
            let (Some(memory), true) = (channels.get(from), is_known) else {
                return Err(WiringError::UnknownNode { edge: number });
            };
            if bits[from] == MAX_EDGES {
                return Err(WiringError::TooManyEdges { node: member_id(plan, from) });
            }
            let mut link = Link::create(edge.capacity, memory).map_err(broker)?;
            link.mapped_by_producer = from == keeper;
            edges.push(Edge { from, of, to, bit: bits[from] as u16, links: Links::new(link) });
            bits[from] += 1;
        }
        let budget = Budget::create(plan.memory_budget, members).map_err(broker)?;
        let member = |channels| Member { channels: Some(channels), presence: Presence::Here, used: false };
        let nodes = channels.into_iter().map(member).collect();
        let mut wiring = Wiring { budget, nodes, edges, told: HashSet::new(), taps: Vec::new(), tap_edges: Vec::new() };
        let dynamic = plan.nodes.iter().enumerate().filter(|(_, node)| node.is_dynamic());
        dynamic.for_each(|(number, _)| wiring.unattended(number));
        Ok(wiring)
    }
}

/// The process that sends on an edge: a node, or the keeper, whose number follows those of the nodes.
fn sender(edge: &EdgePlan, keeper: usize) -> usize {
    match edge.from {
        EdgeSource::Node(node) => node as usize,
        EdgeSource::Printed(_) | EdgeSource::Logs { .. } => keeper,
    }
}
