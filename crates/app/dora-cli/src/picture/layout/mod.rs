//! Where things stand: a layered drawing, read from left to right.
//!
//! The stages are one file each: [`layers`] gives every shape a column and every long connection a lane through the
//! columns between, [`order`] sorts each column so that few wires cross, [`position`] gives heights so that wires run
//! straight, [`route`] draws the curves. All of it is deterministic. Nothing here knows what is drawn.

mod layers;
mod order;
mod position;
mod route;

pub(super) use layers::Layered;

/// Something to place, in pixels.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) fit: Fit,
    /// Distance of each input from the upper edge; inputs are on the left.
    pub(super) inputs: Vec<f64>,
    /// Distance of each output from the upper edge; outputs are on the right.
    pub(super) outputs: Vec<f64>,
}

/// How a shape uses the width of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It becomes as wide as the column.
    Stretch,
    /// It stays as it is, at the right side.
    Right,
}

/// A wire from an output of a shape to an input of a shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection {
    pub(super) from: usize,
    pub(super) output: usize,
    pub(super) to: usize,
    pub(super) input: usize,
    /// Wires of one bundle start at the same place and may share their way as far as it is the same.
    pub(super) bundle: usize,
}

/// Where a shape stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The finished drawing. Everything lies between (0, 0) and (`width`, `height`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placement {
    /// One per shape.
    pub(super) frames: Vec<Frame>,
    /// One per connection: the curve as SVG path data.
    pub(super) paths: Vec<String>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Places everything.
pub(super) fn place(shapes: &[Shape], connections: &[Connection]) -> Placement {
    let mut layered = Layered::new(shapes, connections);
    order::reduce_crossings(&mut layered);
    let tops = position::tops(&layered);
    route::draw(shapes, connections, &layered, &tops)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(inputs: usize, outputs: usize) -> Shape {
        let ports = |count: usize| (0..count).map(|port| 40.0 + 20.0 * port as f64).collect();
        let height = 50.0 + 20.0 * inputs.max(outputs) as f64;
        Shape { width: 120.0, height, fit: Fit::Stretch, inputs: ports(inputs), outputs: ports(outputs) }
    }

    fn connect(pairs: &[(usize, usize)]) -> Vec<Connection> {
        pairs.iter().map(|&(from, to)| Connection { from, output: 0, to, input: 0, bundle: from }).collect()
    }

    fn overlap(a: &Frame, b: &Frame) -> bool {
        a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
    }

    fn check(placement: &Placement) {
        for (index, a) in placement.frames.iter().enumerate() {
            assert!(a.x >= 0.0 && a.y >= 0.0, "{a:?} is outside");
            assert!(a.x + a.width <= placement.width && a.y + a.height <= placement.height, "{a:?} is outside");
            for b in &placement.frames[index + 1..] {
                assert!(!overlap(a, b), "{a:?} and {b:?} overlap");
            }
        }
    }

    #[test]
    fn a_chain_reads_from_left_to_right() {
        let placement = place(&vec![shape(1, 1); 3], &connect(&[(0, 1), (1, 2)]));
        check(&placement);
        assert!(placement.frames.is_sorted_by(|a, b| a.x + a.width < b.x));
        assert!(placement.frames.iter().all(|frame| frame.y == placement.frames[0].y), "a chain is straight");
    }

    #[test]
    fn a_broad_fan_is_folded() {
        let pairs: Vec<(usize, usize)> = (1..=100).map(|consumer| (0, consumer)).collect();
        let placement = place(&vec![shape(1, 1); 101], &connect(&pairs));
        check(&placement);
        assert!(placement.height < 2.0 * placement.width, "{} x {}", placement.width, placement.height);
    }

    #[test]
    fn nothing_and_one_and_a_loop_to_itself() {
        check(&place(&[], &[]));
        check(&place(&[shape(0, 0)], &[]));
        let placement = place(&[shape(1, 1)], &connect(&[(0, 0)]));
        check(&placement);
        assert!(placement.height > shape(1, 1).height, "the loop has room below");
    }

    #[test]
    fn a_cycle_is_drawn() {
        let placement = place(&vec![shape(1, 1); 3], &connect(&[(0, 1), (1, 2), (2, 0)]));
        check(&placement);
        assert!(placement.frames[0].x < placement.frames[1].x && placement.frames[1].x < placement.frames[2].x);
    }

    #[test]
    fn a_hundred_unconnected_nodes_form_a_block() {
        let placement = place(&vec![shape(0, 0); 100], &[]);
        check(&placement);
        assert!(placement.width / placement.height < 6.0 && placement.height / placement.width < 6.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn nothing_overlaps(pairs in proptest::collection::vec((0_usize..12, 0_usize..12), 0..30)) {
            let shapes = vec![shape(1, 1); 12];
            let placement = place(&shapes, &connect(&pairs));
            check(&placement);
            prop_assert_eq!(placement, place(&shapes, &connect(&pairs)));
        }
    }
}
