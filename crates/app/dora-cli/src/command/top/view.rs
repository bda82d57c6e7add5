//! What the terminal shows: rows, their order, which one is chosen, and what became of it before. Keys change it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
};

use dora_gateways::{DataflowId, EdgeMetrics, NodeInfo};
use dora_message::id::NodeId;

use super::look::Moment;
use crate::{
    units::{show_nanos, show_size},
    words::{edge_words, node_state_word},
};

/// Looks that are remembered for the curve.
const REMEMBERED: usize = 240;

/// What is shown.
pub(super) struct View {
    moment: Option<Moment>,
    pub(super) page: Page,
    sort: Sort,
    chosen: usize,
    /// Of each node, the percents of a processor at the looks so far, the latest last.
    loads: BTreeMap<(DataflowId, NodeId), VecDeque<u64>>,
}

/// Of what the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Nodes,
    Edges,
}

/// Which row of nodes comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// As in the dataflow files.
    File,
    Cpu,
    Memory,
    Queue,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Up,
    Down,
    Sort,
    Turn,
}

/// One node.
struct Row<'a> {
    dataflow: DataflowId,
    info: &'a NodeInfo,
    cpu: Option<f64>,
    memory: Option<u64>,
    /// What the messages that it has sent take.
    shared: Option<u64>,
    queued: u64,
    /// Messages that it took, per second.
    received: f64,
    dropped: u64,
}

impl View {
    pub(super) fn new() -> Self {
        Self { moment: None, page: Page::Nodes, sort: Sort::File, chosen: 0, loads: BTreeMap::new() }
    }

    /// Shows a later look.
    pub(super) fn update(&mut self, look: Moment) {
        let moment = match self.moment.take() {
            Some(before) => before.next(look),
            None => look,
        };
        let now = &moment.figures.now;
        self.loads.retain(|key, _| now.nodes.iter().any(|node| (node.dataflow, &node.node) == (key.0, &key.1)));
        for node in &now.nodes {
            let Some(rates) = moment.figures.node(node) else { continue };
            let load = self.loads.entry((node.dataflow, node.node.clone())).or_default();
            if load.len() == REMEMBERED {
                load.pop_front();
            }
            load.push_back(rates.cpu_percent.round() as u64);
        }
        self.moment = Some(moment);
        self.chosen = self.chosen.min(self.rows().len().saturating_sub(1));
    }

    pub(super) fn order(&mut self, order: Order) {
        match order {
            Order::Up => self.chosen = self.chosen.saturating_sub(1),
            Order::Down => self.chosen = (self.chosen + 1).min(self.rows().len().saturating_sub(1)),
            Order::Sort => {
                self.sort = match self.sort {
                    Sort::File => Sort::Cpu,
                    Sort::Cpu => Sort::Memory,
                    Sort::Memory => Sort::Queue,
                    Sort::Queue => Sort::File,
                }
            }
            Order::Turn => {
                (self.page, self.chosen) = match self.page {
                    Page::Nodes => (Page::Edges, 0),
                    Page::Edges => (Page::Nodes, 0),
                }
            }
        }
    }

    /// Number of the chosen row.
    pub(super) fn chosen(&self) -> usize {
        self.chosen
    }

    pub(super) fn head(&self) -> &'static [&'static str] {
        match self.page {
            Page::Nodes => &[
                "DATAFLOW", "NODE", "STATUS", "PID", "CPU", "MEMORY", "SHARED", "QUEUE", "MSG/S", "DROPPED", "RESTARTS",
            ],
            Page::Edges => &["DATAFLOW", "EDGE", "QUEUE", "MSG/S", "BYTES/S", "DROPPED", "P50", "P99"],
        }
    }

    /// The cells of the table.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let Some(moment) = &self.moment else { return Vec::new() };
        match self.page {
            Page::Nodes => self.nodes(moment).iter().map(|row| node_cells(moment, row)).collect(),
            Page::Edges => moment.figures.now.edges.iter().map(|edge| edge_cells(moment, edge)).collect(),
        }
    }

    /// One line about everything.
    pub(super) fn summary(&self) -> String {
        let Some(moment) = &self.moment else { return "looking ...".to_owned() };
        let nodes: usize = moment.dataflows.iter().map(|dataflow| dataflow.nodes.len()).sum();
        let missing = moment.figures.now.missing.iter().map(|machine| format!("  machine {machine} does not answer"));
        let sort = match self.sort {
            Sort::File => "the files",
            Sort::Cpu => "CPU",
            Sort::Memory => "memory",
            Sort::Queue => "queue",
        };
        format!(
            "dora top  {}  dataflows {}  nodes {nodes}  order of {sort}{}",
            moment.figures.now.taken.with_timezone(&chrono::Local).format("%H:%M:%S"),
            moment.dataflows.len(),
            missing.collect::<String>()
        )
    }

    /// The name of the chosen node, and the load of its processor so far.
    pub(super) fn curve(&self) -> Option<(String, Vec<u64>)> {
        let moment = self.moment.as_ref().filter(|_| self.page == Page::Nodes)?;
        let nodes = self.nodes(moment);
        let row = nodes.get(self.chosen)?;
        let load = self.loads.get(&(row.dataflow, row.info.node.clone()))?;
        let now = load.back().copied().unwrap_or_default();
        Some((format!("CPU of {} ({now}%)", row.info.node), load.iter().copied().collect()))
    }

    fn nodes<'a>(&self, moment: &'a Moment) -> Vec<Row<'a>> {
        let nodes = moment.dataflows.iter().flat_map(|flow| flow.nodes.iter().map(move |node| (flow.summary.id, node)));
        let mut rows: Vec<Row<'_>> = nodes.map(|(dataflow, node)| row(moment, dataflow, node)).collect();
        match self.sort {
            Sort::File => {}
            Sort::Cpu => rows.sort_by(|a, b| b.cpu.unwrap_or(0.0).total_cmp(&a.cpu.unwrap_or(0.0))),
            Sort::Memory => rows.sort_by_key(|row| Reverse(row.memory)),
            Sort::Queue => rows.sort_by_key(|row| Reverse(row.queued)),
        }
        rows
    }
}

fn row<'a>(moment: &'a Moment, dataflow: DataflowId, info: &'a NodeInfo) -> Row<'a> {
    let figures = &moment.figures;
    let metrics = figures.now.nodes.iter().find(|node| (node.dataflow, &node.node) == (dataflow, &info.node));
    let mut row = Row {
        dataflow,
        info,
        cpu: metrics.and_then(|metrics| figures.node(metrics)).map(|rates| rates.cpu_percent),
        memory: metrics.map(|metrics| metrics.memory),
        shared: metrics.map(|metrics| metrics.shared_memory),
        queued: 0,
        received: 0.0,
        dropped: 0,
    };
    for edge in figures.now.edges.iter().filter(|edge| (edge.dataflow, &edge.to) == (dataflow, &info.node)) {
        row.queued += edge.queued;
        row.dropped += edge.counters.dropped;
        row.received += figures.edge(edge).unwrap_or_default().received;
    }
    row
}

fn node_cells(moment: &Moment, row: &Row<'_>) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        moment.name(row.dataflow),
        row.info.node.to_string(),
        node_state_word(&row.info.state).to_owned(),
        or_dash(row.info.pid.map(|pid| pid.to_string())),
        or_dash(row.cpu.map(|cpu| format!("{cpu:.1}%"))),
        or_dash(row.memory.map(show_size)),
        or_dash(row.shared.map(show_size)),
        row.queued.to_string(),
        format!("{:.1}", row.received),
        row.dropped.to_string(),
        row.info.restarts.to_string(),
    ]
}

fn edge_cells(moment: &Moment, edge: &EdgeMetrics) -> Vec<String> {
    let rates = moment.figures.edge(edge).unwrap_or_default();
    let latency = |nanos: Option<u64>| nanos.map_or_else(|| "-".to_owned(), show_nanos);
    vec![
        moment.name(edge.dataflow),
        edge_words(edge.from.as_str(), &edge.output, edge.to.as_str(), &edge.input),
        format!("{}/{}", edge.queued, edge.capacity),
        format!("{:.1}", rates.received),
        show_size(rates.bytes as u64),
        edge.counters.dropped.to_string(),
        latency(rates.p50_ns),
        latency(rates.p99_ns),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::DateTime;
    use dora_gateways::{DataflowInfo, DataflowState, DataflowSummary, NodeState};

    use super::*;
    use crate::figures::{Figures, tests::snapshot};

    fn look(seconds: u64) -> Moment {
        let node = |name: &str| NodeInfo {
            node: name.into(),
            machine: None,
            attempt: None,
            state: NodeState::Running,
            pid: Some(77),
            restarts: 1,
        };
        let (id, state) = (DataflowId(uuid::Uuid::from_u128(7)), DataflowState::Running);
        let name = Some("rig".to_owned());
        let info = DataflowInfo {
            summary: DataflowSummary { id, name, state, submitted: DateTime::UNIX_EPOCH, nodes: 2 },
            descriptor: String::new(),
            nodes: vec![node("camera"), node("plot")],
            result: None,
        };
        Moment { dataflows: vec![info], figures: Figures::first(snapshot(seconds)) }
    }

    /// Two looks, two seconds apart.
    pub(in super::super) fn moment() -> Moment {
        look(3).next(look(5))
    }

    pub(in super::super) fn view() -> View {
        let mut view = View::new();
        view.update(look(3));
        view.update(look(5));
        view
    }

    #[test]
    fn nodes_and_edges_have_their_figures() {
        let mut view = view();
        assert_eq!(view.rows()[1].join(" "), "rig plot Running 77 50.0% 32 MiB 0 B 2 10.0 0 1");
        assert_eq!(view.rows()[0][6], "3 MiB");
        assert_eq!(view.rows()[0].len(), view.head().len());
        view.order(Order::Turn);
        assert_eq!(view.rows()[0].join(" "), "rig camera/image -> plot/picture 2/10 10.0 1000 B 0 6 ns 7 ns");
        assert_eq!((view.rows()[0].len(), view.curve()), (view.head().len(), None));
    }

    #[test]
    fn keys_choose_and_sort() {
        let mut view = view();
        view.order(Order::Up);
        assert_eq!(view.chosen(), 0);
        (0..5).for_each(|_| view.order(Order::Down));
        assert_eq!(view.chosen(), 1);
        assert_eq!(view.curve(), Some(("CPU of plot (50%)".to_owned(), vec![50])));
        // By CPU, by memory: both are the same; by queue.
        (0..3).for_each(|_| view.order(Order::Sort));
        assert_eq!(view.rows()[0][1], "plot");
        view.order(Order::Sort);
        assert_eq!(view.rows()[0][1], "camera");
    }

    #[test]
    fn what_ends_is_gone() {
        let mut view = view();
        view.order(Order::Down);
        let mut nothing = look(7);
        nothing.dataflows.clear();
        nothing.figures.now.nodes.clear();
        view.update(nothing);
        assert_eq!((view.rows().len(), view.chosen(), view.curve(), view.loads.len()), (0, 0, None, 0));
        assert!(view.summary().contains("dataflows 0"));
    }
}
