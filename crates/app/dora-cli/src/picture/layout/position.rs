//! Heights: each vertex as near as possible to where its wires would be straight, none upon another.

use super::layers::Layered;

const ROUNDS: usize = 12;
const GAP: f64 = 26.0;
const LANE_GAP: f64 = 8.0;
/// A crooked lane looks worse than a crooked wire between shapes.
const LANE_WEIGHT: f64 = 4.0;
/// A vertex without wires on the side in question mostly stays.
const STAYING_WEIGHT: f64 = 0.05;

/// The upper edge of each vertex; the uppermost is 0.
pub(super) fn tops(layered: &Layered) -> Vec<f64> {
    let mut tops = stacked(layered);
    for round in 0..ROUNDS {
        // The last rounds look to both sides.
        let (left, right) = if round + 4 >= ROUNDS { (true, true) } else { (round % 2 == 0, round % 2 == 1) };
        let count = layered.columns.len();
        for step in 0..count {
            let column = if right && !left { count - 1 - step } else { step };
            settle(layered, column, left, right, &mut tops);
        }
    }
    let least = tops.iter().copied().fold(f64::INFINITY, f64::min);
    tops.iter().map(|top| top - least).collect()
}

/// Distance from the upper edge of `above` to that of `below`, at least.
fn distance(layered: &Layered, above: usize, below: usize) -> f64 {
    let (above, below) = (layered.vertices[above], layered.vertices[below]);
    above.height
        + if above.is_lane || below.is_lane {
            LANE_GAP.max(if above.is_lane && below.is_lane { 0.0 } else { 16.0 })
        } else {
            GAP
        }
}

/// Every column packed, its middle at 0.
fn stacked(layered: &Layered) -> Vec<f64> {
    let mut tops = vec![0.0; layered.vertices.len()];
    for column in &layered.columns {
        for pair in column.windows(2) {
            tops[pair[1]] = tops[pair[0]] + distance(layered, pair[0], pair[1]);
        }
        let Some(&last) = column.last() else { continue };
        let middle = (tops[last] + layered.vertices[last].height) / 2.0;
        column.iter().for_each(|&vertex| tops[vertex] -= middle);
    }
    tops
}

/// Moves the vertices of one column to where their neighbours left or right want them.
fn settle(layered: &Layered, column: usize, left: bool, right: bool, tops: &mut [f64]) {
    let members = &layered.columns[column];
    let mut wishes: Vec<(f64, f64)> = vec![(0.0, 0.0); layered.vertices.len()];
    let mut wish = |own: (usize, f64), other: (usize, f64), tops: &[f64]| {
        let both_lanes = layered.vertices[own.0].is_lane && layered.vertices[other.0].is_lane;
        let weight = if both_lanes { LANE_WEIGHT } else { 1.0 };
        let wanted = tops[other.0] + other.1 - own.1;
        wishes[own.0] = (wishes[own.0].0 + weight * wanted, wishes[own.0].1 + weight);
    };
    for segment in &layered.segments {
        if left && layered.vertices[segment.right.0].column == column {
            wish(segment.right, segment.left, tops);
        }
        if right && layered.vertices[segment.left.0].column == column {
            wish(segment.left, segment.right, tops);
        }
    }
    for &(shape, lane) in layered.neighbours.iter().filter(|(shape, _)| layered.vertices[*shape].column == column) {
        wish((lane, 0.0), (shape, layered.vertices[shape].height + 16.0), tops);
    }
    // Positions less the least possible ones must not fall from top to bottom: that is isotonic regression.
    let mut least = 0.0;
    let mut least_tops = Vec::with_capacity(members.len());
    let mut wanted = Vec::with_capacity(members.len());
    for (index, &vertex) in members.iter().enumerate() {
        if index > 0 {
            least += distance(layered, members[index - 1], vertex);
        }
        let (sum, weight) = wishes[vertex];
        let (target, weight) = if weight == 0.0 { (tops[vertex], STAYING_WEIGHT) } else { (sum / weight, weight) };
        least_tops.push(least);
        wanted.push((target - least, weight));
    }
    for ((&vertex, least), value) in members.iter().zip(least_tops).zip(isotonic(&wanted)) {
        tops[vertex] = least + value;
    }
}

/// The values nearest to those wanted (value, weight) that never fall: neighbours that would are pooled.
fn isotonic(wanted: &[(f64, f64)]) -> Vec<f64> {
    struct Pool {
        sum: f64,
        weight: f64,
        count: usize,
    }
    let mean = |pool: &Pool| pool.sum / pool.weight;
    let mut pools: Vec<Pool> = Vec::new();
    for &(value, weight) in wanted {
        let mut pool = Pool { sum: value * weight, weight, count: 1 };
        while let Some(before) = pools.pop_if(|before| mean(before) > mean(&pool)) {
            pool = Pool {
                sum: before.sum + pool.sum,
                weight: before.weight + pool.weight,
                count: before.count + pool.count,
            };
        }
        pools.push(pool);
    }
    pools.iter().flat_map(|pool| std::iter::repeat_n(mean(pool), pool.count)).collect()
}

#[cfg(test)]
mod tests {
    use super::isotonic;

    #[test]
    fn falling_values_are_pooled() {
        let equal = |values: &[f64]| values.iter().map(|&value| (value, 1.0)).collect::<Vec<_>>();
        assert_eq!(isotonic(&equal(&[1.0, 2.0, 3.0])), [1.0, 2.0, 3.0]);
        assert_eq!(isotonic(&equal(&[3.0, 1.0, 5.0])), [2.0, 2.0, 5.0]);
        assert_eq!(isotonic(&[(4.0, 1.0), (1.0, 2.0)]), [2.0, 2.0]);
        assert_eq!(isotonic(&[]), [0.0; 0]);
    }
}
