//! Columns: every shape gets one, and a connection that spans several gets a lane through each column between.
//!
//! A connection that closes a cycle runs backwards: it gets a lane in the columns of both its ends too, so that it can
//! leave at the right, turn, and come in from the left.

use std::collections::HashMap;

use super::{Connection, Shape};

/// Height that a lane occupies in a column.
const LANE_HEIGHT: f64 = 10.0;
/// Shapes that any column may hold.
const MOST_IN_COLUMN: usize = 9;

/// Something that has a place in a column: a shape, or the lane of a connection.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Vertex {
    pub(super) column: usize,
    pub(super) height: f64,
    pub(super) is_lane: bool,
}

/// A piece of a connection between neighbouring columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// The vertex in the left column, and the height of the wire above its upper edge.
    pub(super) left: (usize, f64),
    /// The vertex in the right column, likewise.
    pub(super) right: (usize, f64),
}

/// Shapes and lanes in columns.
#[derive(Debug)]
pub(in super::super) struct Layered {
    /// The shapes, in their order, then the lanes.
    pub(super) vertices: Vec<Vertex>,
    /// Vertices of each column, from top to bottom.
    pub(super) columns: Vec<Vec<usize>>,
    pub(super) segments: Vec<Segment>,
    /// Pairs in one column that should be close: the end of a backward connection, and its lane.
    pub(super) neighbours: Vec<(usize, usize)>,
    /// Per connection: its lanes from left to right.
    pub(super) lanes: Vec<Vec<usize>>,
    /// Per connection: whether it runs from right to left.
    pub(super) backward: Vec<bool>,
    bundles: HashMap<(usize, usize), usize>,
}

impl Layered {
    pub(super) fn new(shapes: &[Shape], connections: &[Connection]) -> Self {
        let backward = backward(shapes.len(), connections);
        let columns_of = columns(shapes.len(), connections, &backward);
        let vertex = |(shape, &column): (&Shape, &usize)| Vertex { column, height: shape.height, is_lane: false };
        let mut layered = Self {
            vertices: shapes.iter().zip(&columns_of).map(vertex).collect(),
            columns: vec![Vec::new(); columns_of.iter().map(|column| column + 1).max().unwrap_or(0)],
            segments: Vec::new(),
            neighbours: Vec::new(),
            lanes: Vec::new(),
            backward,
            bundles: HashMap::new(),
        };
        for (index, &column) in columns_of.iter().enumerate() {
            layered.columns[column].push(index);
        }
        for (index, connection) in connections.iter().enumerate() {
            layered.connect(shapes, connection, layered.backward[index]);
        }
        layered
    }

    fn connect(&mut self, shapes: &[Shape], connection: &Connection, backward: bool) {
        let out = (connection.from, shapes[connection.from].outputs[connection.output]);
        let into = (connection.to, shapes[connection.to].inputs[connection.input]);
        let (from, to) = (self.vertices[out.0].column, self.vertices[into.0].column);
        let lanes: Vec<usize> = match backward {
            true => (to..=from).map(|column| self.add_lane(column)).collect(),
            false => (from + 1..to).map(|column| self.shared_lane(column, connection.bundle)).collect(),
        };
        let mut points: Vec<(usize, f64)> = lanes.iter().map(|&lane| (lane, LANE_HEIGHT / 2.0)).collect();
        if backward {
            self.neighbours.extend(lanes.first().map(|&lane| (into.0, lane)));
            self.neighbours.extend(lanes.last().map(|&lane| (out.0, lane)));
        } else {
            points.insert(0, out);
            points.push(into);
        }
        self.segments.extend(points.windows(2).map(|pair| Segment { left: pair[0], right: pair[1] }));
        self.lanes.push(lanes);
    }

    /// The lane of a bundle of wires, which part only where they must.
    fn shared_lane(&mut self, column: usize, bundle: usize) -> usize {
        if let Some(&lane) = self.bundles.get(&(column, bundle)) {
            return lane;
        }
        let lane = self.add_lane(column);
        self.bundles.insert((column, bundle), lane);
        lane
    }

    fn add_lane(&mut self, column: usize) -> usize {
        self.vertices.push(Vertex { column, height: LANE_HEIGHT, is_lane: true });
        let lane = self.vertices.len() - 1;
        self.columns[column].push(lane);
        lane
    }
}

/// Which connections close a cycle, when one walks from the sources on.
fn backward(count: usize, connections: &[Connection]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let outgoing = |shape: usize| connections.iter().enumerate().filter(move |(_, c)| c.from == shape);
    let is_fed = |shape: usize| connections.iter().any(|c| c.to == shape);
    let mut marks = vec![Mark::New; count];
    let mut result = vec![false; connections.len()];
    let sources_first = (0..count).filter(|&shape| !is_fed(shape)).chain((0..count).filter(|&shape| is_fed(shape)));
    for start in sources_first {
        if marks[start] != Mark::New {
            continue;
        }
        // A walk with a stack of its own: dataflows may be long chains.
        let mut stack = vec![(start, outgoing(start))];
        marks[start] = Mark::Open;
        while let Some((shape, rest)) = stack.last_mut() {
            let Some((index, connection)) = rest.next() else {
                marks[*shape] = Mark::Done;
                stack.pop();
                continue;
            };
            match marks[connection.to] {
                Mark::Open => result[index] = true,
                Mark::New => {
                    marks[connection.to] = Mark::Open;
                    stack.push((connection.to, outgoing(connection.to)));
                }
                Mark::Done => {}
            }
        }
    }
    result
}

/// The column of each shape: one behind the last that feeds it. Sources stand directly before what they feed, shapes
/// without any connection form a block, and no column grows much higher than the drawing is wide.
fn columns(count: usize, connections: &[Connection], backward: &[bool]) -> Vec<usize> {
    let forward: Vec<&Connection> = connections.iter().zip(backward).filter(|(_, b)| !**b).map(|(c, _)| c).collect();
    let is_alone = |shape: usize| connections.iter().all(|c| c.from != shape && c.to != shape);
    let (alone, connected): (Vec<usize>, Vec<usize>) = (0..count).partition(|&shape| is_alone(shape));
    let mut columns = vec![0; count];
    push_right(&mut columns, &forward);
    spread(&mut columns, &connected, &forward);
    for &shape in connected.iter().filter(|&&shape| connections.iter().all(|c| c.to != shape)) {
        if let Some(first) = forward.iter().filter(|c| c.from == shape).map(|c| columns[c.to]).min() {
            columns[shape] = first - 1;
        }
    }
    let wide = (alone.len() as f64).sqrt().ceil() as usize;
    let wide = wide.max(columns.iter().max().map_or(1, |last| last + 1)).min(alone.len().max(1));
    for (position, shape) in alone.into_iter().enumerate() {
        columns[shape] = position % wide;
    }
    columns
}

/// Moves shapes right until each stands behind all that feed it.
fn push_right(columns: &mut [usize], forward: &[&Connection]) {
    // Without cycles, the longest path has fewer steps than there are shapes.
    for _ in 0..columns.len() {
        let mut changed = false;
        for connection in forward {
            let needed = columns[connection.from] + 1;
            changed |= columns[connection.to] < needed;
            columns[connection.to] = columns[connection.to].max(needed);
        }
        if !changed {
            break;
        }
    }
}

/// Moves shapes on from columns that hold too many, first those that feed nothing.
fn spread(columns: &mut [usize], shapes: &[usize], forward: &[&Connection]) {
    let most = MOST_IN_COLUMN.max((2.5 * shapes.len() as f64).sqrt().ceil() as usize);
    let mut column = 0;
    while shapes.iter().any(|&shape| columns[shape] >= column) {
        let mut members: Vec<usize> = shapes.iter().copied().filter(|&shape| columns[shape] == column).collect();
        members.sort_by_key(|&shape| !forward.iter().any(|connection| connection.from == shape));
        for shape in members.into_iter().skip(most) {
            columns[shape] += 1;
        }
        push_right(columns, forward);
        column += 1;
    }
}
