//! The scene as SVG text. Colours and fonts are in `style.css`.

use std::fmt::Write as _;

use super::{
    layout::{Frame, Placement},
    scene::{Card, Chip, HEADER_HEIGHT, Item, Port, Scene, port_offset},
};

/// Classes of wires with what the legend says, in the order of the legend.
const LEGEND: [(&str, &str); 5] = [
    ("drop-oldest", "drop_oldest: the newest messages win"),
    ("drop-newest", "drop_newest: the queued messages win"),
    ("backpressure", "backpressure: the sender waits"),
    ("timer", "timer"),
    ("logs", "log messages"),
];

/// The drawing.
pub(super) fn picture(scene: &Scene, placement: &Placement) -> String {
    let mut svg = format!(
        "<svg id=\"picture\" role=\"img\" aria-label=\"dataflow\" viewBox=\"0 0 {:.0} {:.0}\">\n<defs>{}</defs>\n",
        placement.width,
        placement.height,
        LEGEND.map(|(class, _)| arrow(class)).concat()
    );
    for (wire, path) in scene.wires.iter().zip(&placement.paths) {
        let (class, label) = (wire.class, escape(&wire.label));
        // The second, broad and invisible path is what the mouse finds.
        let _ = writeln!(
            svg,
            "<g class=\"wire {class}\" data-from=\"{}\" data-to=\"{}\" data-label=\"{label}\">\
             <path d=\"{path}\" marker-end=\"url(#{class})\"/><path class=\"reach\" d=\"{path}\"/></g>",
            wire.from, wire.to
        );
    }
    for (index, (item, frame)) in scene.items.iter().zip(&placement.frames).enumerate() {
        svg += &match item {
            Item::Card(node) => card(index, node, frame),
            Item::Chip(source) => chip(index, source, frame),
        };
    }
    svg + "</svg>"
}

/// One line per kind of wire that occurs.
pub(super) fn legend(scene: &Scene) -> String {
    let used = LEGEND.iter().filter(|(class, _)| scene.wires.iter().any(|wire| wire.class == *class));
    used.map(|(class, text)| {
        format!(
            "<li><svg width=\"34\" height=\"10\"><g class=\"wire {class}\"><path d=\"M1 5H33\"/></g></svg>{text}</li>\n"
        )
    })
    .collect()
}

fn arrow(class: &str) -> String {
    format!(
        "<marker id=\"{class}\" class=\"{class}\" viewBox=\"0 0 10 10\" refX=\"13\" refY=\"5\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 .8 9 5 0 9.2z\"/></marker>"
    )
}

fn card(index: usize, card: &Card, frame: &Frame) -> String {
    let Frame { x, y, width, height } = *frame;
    let mut svg = format!(
        "<g class=\"card {kind}\" data-item=\"{index}\" tabindex=\"0\" role=\"button\" aria-label=\"{title}\" \
         transform=\"translate({x:.1} {y:.1})\">\
         <rect class=\"body\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"11\"/>\
         <rect class=\"stripe\" x=\"12\" y=\"13\" width=\"4\" height=\"{stripe:.1}\" rx=\"2\"/>\
         <text class=\"title\" x=\"24\" y=\"21\">{title}</text>\
         <text class=\"path\" x=\"24\" y=\"36\">{subtitle}</text>\
         <text class=\"kind\" x=\"{right:.1}\" y=\"20\">{kind}</text>",
        kind = card.kind,
        title = escape(&card.title),
        subtitle = escape(&card.subtitle),
        stripe = HEADER_HEIGHT - 22.0,
        right = width - 12.0,
    );
    if !(card.inputs.is_empty() && card.outputs.is_empty()) {
        let _ = write!(svg, "<path class=\"rule\" d=\"M0 {HEADER_HEIGHT}H{width:.1}\"/>");
    }
    for (row, input) in card.inputs.iter().enumerate() {
        svg += &port("in", input, 0.0, 13.0, port_offset(row));
    }
    for (row, output) in card.outputs.iter().enumerate() {
        svg += &port("out", output, width, width - 13.0, port_offset(row));
    }
    svg + "</g>\n"
}

fn port(side: &str, port: &Port, dot: f64, text: f64, y: f64) -> String {
    let open = if port.connected { "" } else { " open" };
    format!(
        "<circle class=\"port{open}\" cx=\"{dot:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
         <text class=\"port {side}\" x=\"{text:.1}\" y=\"{:.1}\">{}</text>",
        y + 4.0,
        escape(&port.label)
    )
}

fn chip(index: usize, chip: &Chip, frame: &Frame) -> String {
    let Frame { x, y, width, height } = *frame;
    let sign = match chip.is_timer {
        true => "<circle class=\"sign\" cx=\"14\" cy=\"12\" r=\"6\"/><path class=\"sign\" d=\"M14 8.4V12l2.4 1.6\"/>",
        false => "<path class=\"sign\" d=\"M8.5 8.5h11M8.5 12h11M8.5 15.5h7\"/>",
    };
    format!(
        "<g class=\"chip {class}\" data-item=\"{index}\" transform=\"translate({x:.1} {y:.1})\">\
         <rect width=\"{width:.1}\" height=\"{height:.1}\" rx=\"12\"/>{sign}<text x=\"26\" y=\"16\">{label}</text></g>\n",
        class = if chip.is_timer { "timer" } else { "logs" },
        label = escape(&chip.label)
    )
}

/// Text that may stand in an element or in an attribute.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\n', "&#10;")
}
