//! Columns become pixels, wires become curves.

use std::fmt::Write as _;

use super::{Connection, Fit, Frame, Layered, Placement, Shape};

const MARGIN: f64 = 48.0;
/// Space between columns: more where wires have to climb.
const LEAST_GAP: f64 = 76.0;
const MOST_GAP: f64 = 190.0;
const GAP_PER_CLIMB: f64 = 0.16;
/// The straight end of a wire, as long as its arrow.
const LEAD: f64 = 12.0;

struct Column {
    left: f64,
    right: f64,
}

/// Frames and curves for shapes whose columns and heights are known.
pub(super) fn draw(shapes: &[Shape], connections: &[Connection], layered: &Layered, tops: &[f64]) -> Placement {
    let columns = columns(shapes, layered, tops);
    let frames: Vec<Frame> = shapes
        .iter()
        .enumerate()
        .map(|(index, shape)| {
            let column = &columns[layered.vertices[index].column];
            let width = if shape.fit == Fit::Stretch { column.right - column.left } else { shape.width };
            Frame { x: column.right - width, y: tops[index] + MARGIN, width, height: shape.height }
        })
        .collect();
    let middle = |lane: usize| tops[lane] + MARGIN + layered.vertices[lane].height / 2.0;
    let path = |(index, connection): (usize, &Connection)| {
        let lanes = layered.lanes[index].iter().map(|&lane| (layered.vertices[lane].column, middle(lane)));
        let out = frames[connection.from].y + shapes[connection.from].outputs[connection.output];
        let into = frames[connection.to].y + shapes[connection.to].inputs[connection.input];
        let ends = [(frames[connection.from].right(), out), (frames[connection.to].x, into)];
        if layered.backward[index] { backward(ends, lanes.rev(), &columns) } else { forward(ends, lanes, &columns) }
    };
    let lowest = tops.iter().zip(&layered.vertices).map(|(top, vertex)| top + vertex.height).fold(0.0, f64::max);
    Placement {
        paths: connections.iter().enumerate().map(path).collect(),
        width: columns.last().map_or(0.0, |column| column.right) + MARGIN,
        height: lowest + 2.0 * MARGIN,
        frames,
    }
}

impl Frame {
    fn right(&self) -> f64 {
        self.x + self.width
    }
}

fn columns(shapes: &[Shape], layered: &Layered, tops: &[f64]) -> Vec<Column> {
    let mut climbs = vec![0.0_f64; layered.columns.len()];
    for segment in &layered.segments {
        let height = |(vertex, offset): (usize, f64)| tops[vertex] + offset;
        let climb = &mut climbs[layered.vertices[segment.left.0].column];
        *climb = climb.max((height(segment.left) - height(segment.right)).abs());
    }
    let mut left = MARGIN;
    let mut columns = Vec::with_capacity(climbs.len());
    for (members, climb) in layered.columns.iter().zip(climbs) {
        let widths = members.iter().filter_map(|&vertex| shapes.get(vertex)).map(|shape| shape.width);
        let right = left + widths.fold(0.0, f64::max);
        columns.push(Column { left, right });
        left = right + (LEAST_GAP + climb * GAP_PER_CLIMB).min(MOST_GAP);
    }
    columns
}

/// From left to right, through the lanes.
fn forward(ends: [(f64, f64); 2], lanes: impl Iterator<Item = (usize, f64)>, columns: &[Column]) -> String {
    let mut path = Path::start(ends[0]);
    for (column, y) in lanes {
        path.swing((columns[column].left, y));
        path.line((columns[column].right, y));
    }
    path.swing((ends[1].0 - LEAD, ends[1].1));
    path.line(ends[1]);
    path.data
}

/// Out at the right, round, back through the lanes, round, in from the left.
fn backward(ends: [(f64, f64); 2], lanes: impl Iterator<Item = (usize, f64)>, columns: &[Column]) -> String {
    let mut path = Path::start(ends[0]);
    for (position, (column, y)) in lanes.enumerate() {
        let right = (columns[column].right, y);
        if position == 0 {
            path.turn(right, 1.0)
        } else {
            path.swing(right)
        }
        path.line((columns[column].left, y));
    }
    path.turn((ends[1].0 - LEAD, ends[1].1), -1.0);
    path.line(ends[1]);
    path.data
}

struct Path {
    at: (f64, f64),
    data: String,
}

impl Path {
    fn start(at: (f64, f64)) -> Self {
        Self { at, data: format!("M{:.1} {:.1}", at.0, at.1) }
    }

    /// A curve that leaves and arrives horizontally.
    fn swing(&mut self, to: (f64, f64)) {
        let reach = (to.0 - self.at.0) / 2.0;
        self.curve(reach, -reach, to);
    }

    /// A half circle, more or less, to the right (1) or the left (-1).
    fn turn(&mut self, to: (f64, f64), side: f64) {
        let reach = side * (18.0 + 0.12 * (to.1 - self.at.1).abs()).min(44.0);
        self.curve(reach, reach, to);
    }

    fn curve(&mut self, leave: f64, arrive: f64, to: (f64, f64)) {
        let (x, y) = self.at;
        // Writing to a string cannot fail.
        let _ = write!(self.data, "C{:.1} {y:.1} {:.1} {:.1} {:.1} {:.1}", x + leave, to.0 + arrive, to.1, to.0, to.1);
        self.at = to;
    }

    fn line(&mut self, to: (f64, f64)) {
        let _ = write!(self.data, "L{:.1} {:.1}", to.0, to.1);
        self.at = to;
    }
}
