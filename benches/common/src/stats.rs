//! Percentiles by nearest rank.

/// The `p`-quantile (0 to 1) of `sorted`, which is in ascending order. NaN if it is empty.
///
/// ```
/// assert_eq!(bench_common::percentile(&[1.0, 2.0, 3.0], 0.5), 2.0);
/// ```
pub fn percentile(sorted: &[f64], p: f64) -> f64 {
    let rank = (sorted.len().saturating_sub(1) as f64 * p).round() as usize;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

/// The median of `values`, in any order. NaN if there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(&values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few_values() {
        assert!(percentile(&[], 0.5).is_nan());
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
        let hundred: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.99), 99.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
