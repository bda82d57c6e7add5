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
    /// One-way latency with a gap, for payloads of `size` bytes.
    pub fn oneway(size: usize, quick: bool) -> Self {
        let count = if size >= 16 << 20 { 60 } else { 400 };
        Self { warm: 20, count: if quick { count / 4 } else { count } }
    }

    /// Ping-pong round trips.
    pub fn round_trips(quick: bool) -> Self {
        Self { warm: 200, count: if quick { 2_000 } else { 20_000 } }
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
