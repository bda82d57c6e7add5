//! What a picture shows: a card per node, a chip per timer or log source, a wire per connection.
//!
//! Sizes are in pixels; positions are not known here.

use dora_descriptor::{
    Dataflow, Input, Node, NodeKind, Source,
    model::{OperatorSource, PathKind, RestartPolicy},
};
use dora_message::keeper::QueuePolicy;
use serde_json::{Map, Value, json};

use super::layout::{Connection, Fit, Shape};
use crate::words::{policy_word, timer_words};

pub(super) const HEADER_HEIGHT: f64 = 46.0;
pub(super) const ROW_HEIGHT: f64 = 21.0;
pub(super) const PORTS_PADDING: f64 = 7.0;
const CHIP_HEIGHT: f64 = 24.0;
/// Width of a letter of a node's name, of a port's name and of a path: as wide as they get in common fonts.
const NAME_LETTER: f64 = 8.4;
const PORT_LETTER: f64 = 7.3;
const PATH_LETTER: f64 = 6.7;
const LONGEST_TEXT: usize = 34;
const NARROWEST_CARD: f64 = 132.0;

/// Everything that is drawn.
pub(super) struct Scene {
    pub(super) items: Vec<Item>,
    pub(super) wires: Vec<Wire>,
}

/// Something with a place of its own.
pub(super) enum Item {
    Card(Card),
    Chip(Chip),
}

/// A node.
pub(super) struct Card {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) kind: &'static str,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    facts: Vec<(&'static str, String)>,
}

/// An input or an output.
pub(super) struct Port {
    id: String,
    pub(super) label: String,
    pub(super) connected: bool,
}

/// A timer or the log of the dataflow, drawn beside the node that listens to it.
pub(super) struct Chip {
    pub(super) label: String,
    pub(super) is_timer: bool,
    source: Source,
    consumer: usize,
}

/// A connection to an input.
pub(super) struct Wire {
    pub(super) from: usize,
    pub(super) output: usize,
    pub(super) to: usize,
    pub(super) input: usize,
    pub(super) class: &'static str,
    pub(super) label: String,
}

impl Scene {
    pub(super) fn of(dataflow: &Dataflow) -> Self {
        let items = dataflow.nodes.iter().map(|node| Item::Card(Card::of(node))).collect();
        let mut scene = Self { items, wires: Vec::new() };
        for (to, node) in dataflow.nodes.iter().enumerate() {
            for (input, (id, definition)) in node.inputs.iter().enumerate() {
                let Some((from, output)) = scene.source(dataflow, to, definition) else { continue };
                let class = class_of(definition);
                let label = wire_label(definition, &format!("{}/{id}", node.id));
                scene.wires.push(Wire { from, output, to, input, class, label });
            }
        }
        scene
    }

    /// The item and the port that feed an input of node `to`; a chip is made where there is none yet.
    fn source(&mut self, dataflow: &Dataflow, to: usize, input: &Input) -> Option<(usize, usize)> {
        if let Source::Node { node, output } = &input.source {
            let from = dataflow.nodes.iter().position(|candidate| candidate.id == *node)?;
            let Some(Item::Card(card)) = self.items.get_mut(from) else { return None };
            let port = card.outputs.iter().position(|port| port.id == output.as_str())?;
            card.outputs[port].connected = true;
            return Some((from, port));
        }
        let is_this =
            |item: &Item| matches!(item, Item::Chip(chip) if chip.consumer == to && chip.source == input.source);
        let place = self.items.iter().position(is_this).unwrap_or_else(|| {
            self.items.push(Item::Chip(Chip::of(&input.source, to)));
            self.items.len() - 1
        });
        Some((place, 0))
    }

    pub(super) fn node_count(&self) -> usize {
        self.items.iter().filter(|item| matches!(item, Item::Card(_))).count()
    }

    /// Connections between nodes; those from timers and logs do not count.
    pub(super) fn edge_count(&self) -> usize {
        self.wires.iter().filter(|wire| matches!(self.items[wire.from], Item::Card(_))).count()
    }

    pub(super) fn shapes(&self) -> Vec<Shape> {
        self.items.iter().map(Item::shape).collect()
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        // Wires from one output in one colour may share their way; the first of them names the bundle.
        let same = |a: &Wire, b: &Wire| (a.from, a.output, a.class) == (b.from, b.output, b.class);
        let first_like =
            |wire: &Wire| self.wires.iter().position(|other| same(wire, other)).unwrap_or(self.wires.len());
        let connection = |wire: &Wire| {
            let &Wire { from, output, to, input, .. } = wire;
            Connection { from, output, to, input, bundle: first_like(wire) }
        };
        self.wires.iter().map(connection).collect()
    }

    /// What the page tells about a node when it is clicked, by position of the item.
    pub(super) fn details(&self) -> Map<String, Value> {
        let cards = self.items.iter().enumerate().filter_map(|(index, item)| match item {
            Item::Card(card) => Some((index, card)),
            Item::Chip(_) => None,
        });
        cards
            .map(|(index, card)| {
                let wires = |mine: fn(&Wire) -> usize| {
                    self.wires.iter().filter(move |wire| mine(wire) == index).map(|wire| wire.label.clone())
                };
                let details = json!({
                    "title": card.id,
                    "facts": card.facts,
                    "in": wires(|wire| wire.to).collect::<Vec<_>>(),
                    "out": wires(|wire| wire.from).collect::<Vec<_>>(),
                });
                (index.to_string(), details)
            })
            .collect()
    }
}

impl Item {
    fn shape(&self) -> Shape {
        match self {
            Self::Chip(chip) => Shape {
                width: text_width(&chip.label, PATH_LETTER) + 38.0,
                height: CHIP_HEIGHT,
                fit: Fit::Right,
                inputs: Vec::new(),
                outputs: vec![CHIP_HEIGHT / 2.0],
            },
            Self::Card(card) => {
                let rows = card.inputs.len().max(card.outputs.len());
                let padding = if rows == 0 { 0.0 } else { 2.0 * PORTS_PADDING };
                Shape {
                    width: card.width(),
                    height: HEADER_HEIGHT + padding + rows as f64 * ROW_HEIGHT,
                    fit: Fit::Stretch,
                    inputs: (0..card.inputs.len()).map(port_offset).collect(),
                    outputs: (0..card.outputs.len()).map(port_offset).collect(),
                }
            }
        }
    }
}

/// Distance of a port from the upper edge of its card.
pub(super) fn port_offset(row: usize) -> f64 {
    HEADER_HEIGHT + PORTS_PADDING + (row as f64 + 0.5) * ROW_HEIGHT
}

impl Card {
    fn of(node: &Node) -> Self {
        let (kind, subtitle) = kind_of(node);
        let input_port = |id: &str| Port { id: id.to_owned(), label: shorten(id), connected: true };
        let output_port = |id: &str| Port { id: id.to_owned(), label: shorten(id), connected: false };
        Self {
            id: node.id.to_string(),
            title: shorten(node.id.as_str()),
            subtitle: shorten_path(&subtitle),
            kind,
            inputs: node.inputs.keys().map(|id| input_port(id)).collect(),
            outputs: node.outputs.keys().map(|id| output_port(id)).collect(),
            facts: facts(node, subtitle),
        }
    }

    fn width(&self) -> f64 {
        let port = |ports: &[Port], row: usize| ports.get(row).map_or(0.0, |port| text_width(&port.label, PORT_LETTER));
        let rows = 0..self.inputs.len().max(self.outputs.len());
        let ports = rows.map(|row| port(&self.inputs, row) + port(&self.outputs, row) + 52.0).fold(0.0, f64::max);
        let title = text_width(&self.title, NAME_LETTER) + text_width(self.kind, PATH_LETTER) + 52.0;
        let subtitle = text_width(&self.subtitle, PATH_LETTER) + 38.0;
        ports.max(title).max(subtitle).max(NARROWEST_CARD).ceil()
    }
}

impl Chip {
    fn of(source: &Source, consumer: usize) -> Self {
        let label = match source {
            Source::Timer { interval } => timer_words(*interval),
            other => other.to_string(),
        };
        Self { label, is_timer: matches!(source, Source::Timer { .. }), source: source.clone(), consumer }
    }
}

fn class_of(input: &Input) -> &'static str {
    match (&input.source, input.queue_policy) {
        (Source::Timer { .. }, _) => "timer",
        (Source::Logs { .. }, _) => "logs",
        (Source::Node { .. }, QueuePolicy::DropOldest) => "drop-oldest",
        (Source::Node { .. }, QueuePolicy::DropNewest) => "drop-newest",
        (Source::Node { .. }, QueuePolicy::Backpressure) => "backpressure",
    }
}

fn wire_label(input: &Input, target: &str) -> String {
    let mut label = format!("{} \u{2192} {target}", input.source);
    if matches!(input.source, Source::Node { .. }) {
        label += &format!("\n{} \u{b7} queue {}", policy_word(input.queue_policy), input.queue_size);
    }
    if let Some(timeout) = input.input_timeout {
        label += &format!(" \u{b7} timeout {timeout:?}");
    }
    if let Some(urn) = &input.type_urn {
        label += &format!("\n{urn}");
    }
    label
}

/// A word for the badge, and what the node runs.
fn kind_of(node: &Node) -> (&'static str, String) {
    match &node.kind {
        NodeKind::Standard(standard) => {
            let word = match standard.path_kind() {
                PathKind::Dynamic => return ("dynamic", "attaches by itself".to_owned()),
                PathKind::Shell => return ("shell", standard.args.clone().unwrap_or_default()),
                PathKind::Url => "url",
                PathKind::Python => "python",
                PathKind::Program => "program",
            };
            (word, standard.path.clone())
        }
        NodeKind::Runtime(runtime) => {
            let source = |source: &OperatorSource| match source {
                OperatorSource::Python { source, .. } | OperatorSource::SharedLibrary(source) => source.clone(),
            };
            let sources: Vec<String> = runtime.operators.iter().map(|operator| source(&operator.source)).collect();
            ("operators", sources.join(", "))
        }
    }
}

/// What the page lists about a node. Of environment variables only the names: values may be secret.
fn facts(node: &Node, runs: String) -> Vec<(&'static str, String)> {
    let standard = node.standard();
    let restarts = (node.restart.policy != RestartPolicy::Never).then(|| node.restart.policy.as_str().to_owned());
    let affinity = (!node.cpu_affinity.is_empty()).then(|| format!("{:?}", node.cpu_affinity));
    let machine = node.deploy.as_ref().and_then(|deploy| deploy.machine.clone());
    let env = node.env.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let facts = [
        ("name", node.name.clone()),
        ("description", node.description.clone()),
        ("runs", Some(runs)),
        ("args", standard.and_then(|standard| standard.args.clone())),
        ("build", standard.and_then(|standard| standard.build.clone())),
        ("git", standard.and_then(|standard| standard.git.as_ref()).map(|git| git.url.clone())),
        ("machine", machine),
        ("env", Some(env)),
        ("restart", restarts),
        ("cores", affinity),
    ];
    facts
        .into_iter()
        .filter_map(|(what, value)| value.filter(|value| !value.trim().is_empty()).map(|value| (what, value)))
        .collect()
}

fn text_width(text: &str, letter: f64) -> f64 {
    text.chars().count() as f64 * letter
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= LONGEST_TEXT {
        return text.to_owned();
    }
    text.chars().take(LONGEST_TEXT - 1).chain(['\u{2026}']).collect()
}

/// The end of a path says more than its beginning.
fn shorten_path(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let excess = line.chars().count().saturating_sub(LONGEST_TEXT);
    if excess == 0 {
        return line.to_owned();
    }
    let end: String = line.chars().skip(excess + 1).collect();
    // Whole names are nicer, unless the last one is all there is.
    let from = end.find('/').unwrap_or(0);
    format!("\u{2026}{}", &end[from..])
}
