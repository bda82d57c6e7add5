//! Percentiles out of the latency histogram of an edge.

/// The latency, in nanoseconds, that `share` (0 to 1) of the messages did not exceed; none without messages.
///
/// Bucket `i` holds latencies from 2^(i-1) to 2^i: within it they count as spread evenly.
pub(crate) fn percentile(buckets: &[u64], share: f64) -> Option<u64> {
    let total: u64 = buckets.iter().sum();
    if total == 0 {
        return None;
    }
    let wanted = share * total as f64;
    let mut below = 0.0;
    for (index, &count) in buckets.iter().enumerate() {
        let count = count as f64;
        if count > 0.0 && below + count >= wanted {
            let (low, high) = bounds(index);
            return Some((low + (high - low) * ((wanted - below) / count).clamp(0.0, 1.0)) as u64);
        }
        below += count;
    }
    None
}

fn bounds(index: usize) -> (f64, f64) {
    let high = 2_f64.powi(i32::try_from(index).unwrap_or(i32::MAX));
    if index == 0 { (0.0, 1.0) } else { (high / 2.0, high) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_histograms() {
        assert_eq!(percentile(&[0; 40], 0.5), None);
        assert_eq!(percentile(&[0, 0, 0, 4], 0.5), Some(6));
        assert_eq!(percentile(&[0, 98, 0, 0, 2], 0.99), Some(12));
    }

    proptest! {
        #[test]
        fn percentiles_grow_with_their_share(buckets in proptest::collection::vec(0_u64..1000, 40), a in 0.0..1.0, b in 0.0..1.0) {
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            prop_assert!(percentile(&buckets, low) <= percentile(&buckets, high));
        }
    }
}
