//! The order in each column: few crossings, by sorting each column by where its neighbours stand.

use std::cmp::Ordering;

use super::layers::Layered;

const SWEEPS: usize = 16;

/// Sorts the columns of `layered`.
pub(super) fn reduce_crossings(layered: &mut Layered) {
    let mut best = (crossings(layered), layered.columns.clone());
    for sweep in 0..SWEEPS {
        let count = layered.columns.len();
        for step in 0..count {
            let rightwards = sweep % 2 == 0;
            sort_column(layered, if rightwards { step } else { count - 1 - step }, rightwards);
        }
        let now = crossings(layered);
        if now < best.0 {
            best = (now, layered.columns.clone());
        }
    }
    layered.columns = best.1;
}

/// Where each vertex stands in its column.
fn ranks(layered: &Layered) -> Vec<f64> {
    let mut ranks = vec![0.0; layered.vertices.len()];
    for (rank, &vertex) in layered.columns.iter().flat_map(|column| column.iter().enumerate()) {
        ranks[vertex] = rank as f64;
    }
    ranks
}

/// The rank of the end of a wire: of two wires of one shape, the upper port comes first.
fn end_rank(layered: &Layered, ranks: &[f64], (vertex, offset): (usize, f64)) -> f64 {
    ranks[vertex] + offset / (layered.vertices[vertex].height + 1.0)
}

fn sort_column(layered: &mut Layered, column: usize, rightwards: bool) {
    let ranks = ranks(layered);
    let mut sums = vec![(0.0, 0.0); layered.vertices.len()];
    for segment in &layered.segments {
        let (own, other) = if rightwards { (segment.right, segment.left) } else { (segment.left, segment.right) };
        if layered.vertices[own.0].column == column {
            let sum = &mut sums[own.0];
            *sum = (sum.0 + end_rank(layered, &ranks, other), sum.1 + 1.0);
        }
    }
    for &(shape, lane) in &layered.neighbours {
        if sums[lane].1 == 0.0 {
            sums[lane] = (ranks[shape] + 0.9, 1.0);
        }
    }
    // What has no neighbour on that side stays about where it is.
    let wish = |vertex: usize| if sums[vertex].1 == 0.0 { ranks[vertex] } else { sums[vertex].0 / sums[vertex].1 };
    layered.columns[column].sort_by(|&a, &b| wish(a).partial_cmp(&wish(b)).unwrap_or(Ordering::Equal));
}

/// How many pairs of wires cross.
fn crossings(layered: &Layered) -> usize {
    let ranks = ranks(layered);
    let mut by_column: Vec<Vec<(f64, f64)>> = vec![Vec::new(); layered.columns.len()];
    for segment in &layered.segments {
        let ends = (end_rank(layered, &ranks, segment.left), end_rank(layered, &ranks, segment.right));
        by_column[layered.vertices[segment.left.0].column].push(ends);
    }
    let in_gap = |wires: &Vec<(f64, f64)>| {
        let pairs = wires.iter().enumerate().flat_map(|(i, a)| wires[i + 1..].iter().map(move |b| (a, b)));
        pairs.filter(|(a, b)| (a.0 - b.0) * (a.1 - b.1) < 0.0).count()
    };
    by_column.iter().map(in_gap).sum()
}
