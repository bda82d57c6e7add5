//! How many messages a measurement takes.

/// Payload sizes in bytes: 8 B to 40 MiB.
pub const SIZES: [usize; 7] = [8, 512, 4 << 10, 64 << 10, 1 << 20, 4 << 20, 40 << 20];

/// Pause before each message of a one-way measurement, so that the receiver is blocked when it comes.
pub const GAP_MS: u64 = 5;

/// Messages of one measurement: the first `warm` are sent but not counted.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Messages before the measurement.
    pub warm: usize,
    /// Messages measured.
    pub count: usize,
}

impl Plan {
    /// One-way latency with a gap. Short, because the systems take turns: what changes by the minute
    /// (how deep an idle CPU sleeps, who else uses the host) then meets all of them.
    pub fn oneway() -> Self {
        Self { warm: 20, count: 100 }
    }

    /// Ping-pong round trips.
    pub fn round_trips() -> Self {
        Self { warm: 200, count: 3_000 }
    }

    /// Back to back: `count` messages of `size` bytes, but no more than 8 GiB in all.
    pub fn back_to_back(size: usize, count: usize, quick: bool) -> Self {
        let count = count.min((8 << 30) / size.max(1)) / if quick { 4 } else { 1 };
        Self { warm: count / 10 + 2, count }
    }

    /// All messages that are sent.
    pub fn total(self) -> usize {
        self.warm + self.count
    }
}
