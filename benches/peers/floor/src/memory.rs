//! What copying costs: warm, after a pause, and into pages that were never touched.

use crate::shared::copy_to_fresh_pages;
use bench_common::{Csv, GAP_MS, Outcome, now_ns, sleep_ms};
use std::hint::black_box;

/// `floor memcpy`: three rows for copies of `size` bytes.
pub fn measure(size: usize, quick: bool) -> Outcome<()> {
    let csv = Csv::new("floor");
    let source = vec![1u8; size];
    let mut target = vec![2u8; size];
    let mut copy = || {
        let start = now_ns();
        black_box(&mut target).copy_from_slice(black_box(&source));
        now_ns() - start
    };
    let share = if quick { 4 } else { 1 };
    let warm: Vec<u64> = (0..((4 << 30) / size).clamp(20, 4000) / share + 3).map(|_| copy()).skip(3).collect();
    let gaps = if size >= 16 << 20 { 60 } else { 300 } / share;
    let after_gap = (0..gaps).map(|_| (sleep_ms(GAP_MS), copy()).1).collect();
    csv.latency("memcpy_warm", size, warm);
    csv.latency("memcpy_after_5ms_gap", size, after_gap);
    csv.latency("memcpy_first_touch", size, (0..30).map(|_| copy_to_fresh_pages(&source)).collect::<Result<_, _>>()?);
    Ok(())
}
