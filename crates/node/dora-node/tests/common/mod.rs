//! Plays the keeper in the process of the test: makes what nodes share, and says what a keeper says.
//!
//! Everything up to `Start` is put into the sockets before the nodes are initialised, so no thread is needed.
#![allow(dead_code)] // each test uses a part

use std::{
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    sync::Arc,
    time::Duration,
};

use arrow::array::UInt64Array;
use dora_channel::{
    Arena, BudgetMemory, Consumer, Counters, InEdge, OutEdge, PeerArena, Policy, Producer, Waker,
    broker::{BrokeredEdge, Budget, NodeChannels},
    os::{
        clock::{monotonic_ns, wall_ns},
        memory::memfd_with,
        packet::{self, Blocking},
    },
};
use dora_message::{
    arrow::Layout,
    id::{DataflowId, NodeId},
    keeper::{
        EdgeGrant, FromNode, InputConfig, InputSource, LooseMessage, MAX_PACKET, NodeConfig, NodeRunConfig,
        PROTOCOL_VERSION, QueuePolicy, ToNode,
    },
};
use dora_node::{DoraNode, Event, EventStream};

/// What a node of the fake dataflow looks like.
#[derive(Clone)]
pub struct Spec {
    id: NodeId,
    inputs: Vec<InputConfig>,
    outputs: Vec<String>,
    exit_when_nodes_finish: bool,
    pub write_events_to: Option<std::path::PathBuf>,
}

pub fn node(id: &str) -> Spec {
    Spec { id: id.into(), inputs: vec![], outputs: vec![], exit_when_nodes_finish: false, write_events_to: None }
}

impl Spec {
    pub fn output(mut self, id: &str) -> Self {
        self.outputs.push(id.to_owned());
        self
    }
    /// An input with a queue of 1000 that drops the oldest.
    pub fn input(self, id: &str, source: &str) -> Self {
        self.queue(id, source, 1000, QueuePolicy::DropOldest)
    }
    pub fn queue(mut self, id: &str, source: &str, queue_size: u32, policy: QueuePolicy) -> Self {
        let (node, output) = source.split_once('/').unwrap();
        let source = InputSource::Node { node: node.into(), output: output.into() };
        self.inputs.push(InputConfig { id: id.into(), source, queue_size, policy, timeout_ns: None });
        self
    }
    /// The last input that was added breaks after this silence.
    pub fn timeout(mut self, silence: Duration) -> Self {
        self.inputs.last_mut().unwrap().timeout_ns = Some(silence.as_nanos() as u64);
        self
    }
    pub fn timer(mut self, id: &str, interval: Duration) -> Self {
        let source = InputSource::Timer { interval_ns: interval.as_nanos() as u64 };
        self.inputs.push(InputConfig {
            id: id.into(),
            source,
            queue_size: 1,
            policy: QueuePolicy::DropOldest,
            timeout_ns: None,
        });
        self
    }
    pub fn exit_when_nodes_finish(mut self) -> Self {
        self.exit_when_nodes_finish = true;
        self
    }
}

struct Edge {
    brokered: BrokeredEdge,
    producer: usize,
    consumer: usize,
    output: String,
    input: usize,
    bit: u16,
}

/// An edge of somebody who looks.
pub struct Tap {
    pub ring: BrokeredEdge,
    pub consumer: Consumer,
}

/// The keeper.
pub struct Keeper {
    specs: Vec<Spec>,
    channels: Vec<NodeChannels>,
    edges: Vec<Edge>,
    sockets: Vec<Option<OwnedFd>>,
    budget: Budget,
}

/// A dataflow that has started: the keeper, and the halves of each node in the order of the specs.
pub fn start(specs: &[Spec]) -> (Keeper, Vec<(DoraNode, EventStream)>) {
    start_with_budget(specs, 256 << 20)
}

pub fn start_with_budget(specs: &[Spec], budget: u64) -> (Keeper, Vec<(DoraNode, EventStream)>) {
    let (keeper, node_ends) = Keeper::prepare(specs, budget);
    let init = |(number, end): (usize, OwnedFd)| {
        keeper.say_all(number);
        keeper.say(number, &ToNode::Start, &[]);
        let halves = DoraNode::init(keeper.node_config(number, end)).unwrap();
        assert!(matches!(keeper.hear(number), Some(FromNode::Hello { version: PROTOCOL_VERSION, .. })));
        assert_eq!(keeper.hear(number), Some(FromNode::Ready));
        halves
    };
    let nodes = node_ends.into_iter().enumerate().map(init).collect();
    (keeper, nodes)
}

impl Keeper {
    pub fn prepare(specs: &[Spec], budget: u64) -> (Self, Vec<OwnedFd>) {
        let budget = Budget::create(budget, specs.len()).unwrap();
        let create = |spec: &Spec| NodeChannels::create(spec.id.as_str(), budget.limit()).unwrap();
        let channels = specs.iter().map(create).collect();
        let mut edges: Vec<Edge> = Vec::new();
        for (consumer, spec) in specs.iter().enumerate() {
            for (input, config) in spec.inputs.iter().enumerate() {
                let InputSource::Node { node, output } = &config.source else { continue };
                let producer = specs.iter().position(|spec| spec.id == *node).unwrap();
                let bit = edges.iter().filter(|edge| edge.producer == producer).count() as u16;
                let brokered = BrokeredEdge::create(config.queue_size).unwrap();
                edges.push(Edge { brokered, producer, consumer, output: output.to_string(), input, bit });
            }
        }
        let pairs: Vec<_> = specs.iter().map(|_| packet::pair().unwrap()).collect();
        let (sockets, node_ends) = pairs.into_iter().map(|(ours, theirs)| (Some(ours), theirs)).unzip();
        (Keeper { specs: specs.to_vec(), channels, edges, sockets, budget }, node_ends)
    }

    pub fn node_config(&self, number: usize, end: OwnedFd) -> NodeConfig {
        NodeConfig {
            dataflow_id: DataflowId::nil(),
            node_id: self.specs[number].id.clone(),
            keeper_fd: end.into_raw_fd(),
            restart_count: 0,
        }
    }

    fn run_config(&self, number: usize) -> NodeRunConfig {
        let spec = &self.specs[number];
        NodeRunConfig {
            dataflow_id: DataflowId::nil(),
            node_id: spec.id.clone(),
            inputs: spec.inputs.clone(),
            outputs: spec.outputs.iter().map(|id| id.as_str().into()).collect(),
            clock_anchor_ns: wall_ns() - monotonic_ns(),
            restart_count: 0,
            keeps_edges: false,
            exit_when_nodes_finish: spec.exit_when_nodes_finish,
            write_events_to: spec.write_events_to.clone(),
            dynamic: false,
            health_checked: true,
            keeper_ends_outputs: false,
            descriptor: serde_json::json!({ "nodes": [{ "id": spec.id }] }),
        }
    }

    /// Everything from Welcome to Wired.
    pub fn say_all(&self, number: usize) {
        let json = serde_json::to_vec(&self.run_config(number)).unwrap();
        let config = memfd_with("config", &json).unwrap();
        let own = &self.channels[number];
        let welcome =
            ToNode::Welcome { version: PROTOCOL_VERSION, config_len: json.len() as u64, budget_slot: number as u32 };
        let fds = [config.as_fd(), own.bell(), own.eventfd(), own.arena(), own.holders(), self.budget.fd()];
        self.say(number, &welcome, &fds);
        let mut seen = Vec::new();
        for (edge, end) in self.edges.iter().enumerate().filter(|(_, edge)| edge.producer == number) {
            let new_peer = !seen.contains(&end.consumer);
            seen.push(end.consumer);
            let peer = &self.channels[end.consumer];
            let mut fds = vec![end.brokered.ring().unwrap()];
            fds.extend([peer.bell(), peer.eventfd()].into_iter().filter(|_| new_peer));
            self.say(number, &ToNode::Output(self.grant(edge, &end.output, end.consumer, new_peer)), &fds);
        }
        let mut seen = Vec::new();
        for (edge, end) in self.edges.iter().enumerate().filter(|(_, edge)| edge.consumer == number) {
            let new_peer = !seen.contains(&end.producer);
            seen.push(end.producer);
            let peer = &self.channels[end.producer];
            let mut fds = vec![end.brokered.ring().unwrap()];
            fds.extend([peer.arena_read_only(), peer.holders()].into_iter().filter(|_| new_peer));
            let input = self.specs[number].inputs[end.input].id.clone();
            self.say(number, &ToNode::Input(self.grant(edge, &input, end.producer, new_peer)), &fds);
        }
        self.say(number, &ToNode::Wired, &[]);
    }

    fn grant(&self, edge: usize, port: &str, peer: usize, new_peer: bool) -> EdgeGrant {
        let end = &self.edges[edge];
        let input = &self.specs[end.consumer].inputs[end.input];
        EdgeGrant {
            edge: edge as u32,
            port: port.into(),
            peer: self.specs[peer].id.clone(),
            peer_index: peer as u32,
            new_peer,
            sent_before: 0,
            bit: end.bit,
            capacity: input.queue_size,
            policy: input.policy,
        }
    }

    /// Somebody looks at an output of a node from now on, by an edge with this bit: what he sees.
    pub fn tap(&self, node: &str, output: &str, bit: u16) -> Tap {
        const CAPACITY: u32 = 100;
        let number = self.number(node);
        let (ring, reader) = (BrokeredEdge::create(CAPACITY).unwrap(), NodeChannels::create("tap", 0).unwrap());
        let grant = EdgeGrant {
            edge: 1000,
            port: output.into(),
            peer: "dora".into(),
            peer_index: 1000,
            new_peer: true,
            sent_before: 0,
            bit,
            capacity: CAPACITY,
            policy: QueuePolicy::DropOldest,
        };
        let own = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
        let ring_fd = ring.ring().unwrap();
        self.say(number, &ToNode::Output(grant), &[ring_fd, reader.bell(), reader.eventfd()]);
        let producer = &self.channels[number];
        let arena = PeerArena::open(own(producer.arena_read_only()), own(producer.holders())).unwrap();
        let mut consumer = Consumer::new(0);
        let edge = InEdge::open(0, own(ring_fd), CAPACITY, Policy::DropOldest, bit.into(), arena);
        consumer.add_edge(edge.unwrap());
        Tap { ring, consumer }
    }

    fn number(&self, node: &str) -> usize {
        self.specs.iter().position(|spec| spec.id.as_str() == node).unwrap()
    }

    pub fn say(&self, number: usize, packet: &ToNode, fds: &[BorrowedFd<'_>]) {
        let socket = self.sockets[number].as_ref().unwrap();
        packet::send(socket.as_fd(), &serde_json::to_vec(packet).unwrap(), fds, Blocking::Yes).unwrap();
    }

    pub fn say_bytes(&self, number: usize, bytes: &[u8]) {
        packet::send(self.sockets[number].as_ref().unwrap().as_fd(), bytes, &[], Blocking::Yes).unwrap();
    }

    /// The next packet of a node; `None`: it has hung up.
    pub fn hear(&self, number: usize) -> Option<FromNode> {
        let mut buffer = vec![0; MAX_PACKET];
        let socket = self.sockets[number].as_ref().unwrap();
        let (len, _) = packet::receive(socket.as_fd(), &mut buffer, Blocking::Yes).unwrap();
        (len > 0).then(|| serde_json::from_slice(&buffer[..len]).unwrap())
    }

    /// Mail to a node.
    pub fn mail(&self, node: &str, packet: ToNode) {
        self.say(self.number(node), &packet, &[]);
    }

    /// Somebody sends a number to an input, in place of a node.
    pub fn publish(&self, node: &str, input: &str, number: u64) {
        let array = UInt64Array::from(vec![number]);
        let layout = Layout::of(&array).unwrap();
        let mut payload = vec![0; layout.payload_len()];
        layout.write_payload(&mut payload).unwrap();
        let memory = memfd_with("message", &payload).unwrap();
        let message = LooseMessage { tag: layout.tag().into(), len: payload.len(), header_len: 0 };
        let stamp_ns = wall_ns();
        self.say(self.number(node), &ToNode::Message { input: input.into(), stamp_ns, message }, &[memory.as_fd()]);
    }

    /// The keeper dies, as far as a node can tell.
    pub fn hang_up(&mut self, node: &str) {
        let number = self.number(node);
        self.sockets[number] = None;
    }

    /// A node's process is gone: its mail, then the ends of its edges.
    pub fn died(&self, node: &str, error: Option<&str>) {
        let number = self.number(node);
        if let Some(error) = error {
            for (consumer, _) in self.specs.iter().enumerate().filter(|(other, _)| *other != number) {
                self.say(consumer, &ToNode::NodeFailed { node: node.into(), error: error.to_owned() }, &[]);
            }
        }
        for edge in &self.edges {
            if edge.producer == number {
                edge.brokered.producer_gone(&self.channels[edge.consumer]);
            }
            if edge.consumer == number {
                edge.brokered.consumer_gone(&self.channels[edge.producer]);
            }
        }
    }

    /// The sending end of an edge, for a test that sends nonsense. Its node must not send.
    pub fn impostor(&self, edge: usize) -> Producer {
        let edge = &self.edges[edge];
        let own = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
        let (from, to) = (&self.channels[edge.producer], &self.channels[edge.consumer]);
        let budget = BudgetMemory::map(self.budget.fd()).unwrap();
        let arena = Arena::open(own(from.arena()), own(from.holders()), budget, edge.producer).unwrap();
        let waker = Arc::new(Waker::open(own(to.bell()), own(to.eventfd())).unwrap());
        let mut producer = Producer::new(arena, 1);
        let ring = own(edge.brokered.ring().unwrap());
        let capacity = self.specs[edge.consumer].inputs[edge.input].queue_size;
        producer.add_edge(0, OutEdge::open(ring, capacity, Policy::DropOldest, edge.bit.into(), waker).unwrap());
        producer
    }

    /// Makes the positions of an edge contradict each other: its head overtakes its tail.
    pub fn spoil(&self, edge: usize) {
        const HEAD_AT: u64 = 128;
        let ring = File::from(self.edges[edge].brokered.ring().unwrap().try_clone_to_owned().unwrap());
        ring.write_all_at(&1000u64.to_ne_bytes(), HEAD_AT).unwrap();
    }

    /// Whether a thread of the node is in a call of the API, as the keeper sees it.
    pub fn is_in_call(&self, node: &str) -> bool {
        self.channels[self.number(node)].sign().inside
    }

    /// Whether the consumer of an edge has ended it.
    pub fn is_abandoned(&self, edge: usize) -> bool {
        self.edges[edge].brokered.is_abandoned()
    }

    pub fn counters(&self, edge: usize) -> Counters {
        self.edges[edge].brokered.counters()
    }
}

/// A short name of an event, for comparing sequences.
pub fn name(event: &Event) -> String {
    match event {
        Event::Input { id, data, .. } => match u64::try_from(data) {
            Ok(number) => format!("{id} {number}"),
            Err(_) => format!("{id} {}", data.type_name()),
        },
        Event::InputClosed { id } => format!("closed {id}"),
        Event::NodeFailed { affected_input_ids, error, source_node_id } => {
            format!("failed {source_node_id} {affected_input_ids:?} {error}")
        }
        Event::Stop(cause) => format!("stop {cause:?}"),
        other => format!("{other:?}"),
    }
}

/// Receives until the stream ends.
pub fn all(events: &mut EventStream) -> Vec<String> {
    std::iter::from_fn(|| events.recv()).map(|event| name(&event)).collect()
}

/// Nothing in a test takes this long.
pub const LONG: Duration = Duration::from_secs(20);
