//! iceoryx2, measured as the figures of dora are: raw publish-subscribe of bytes, an event service as the doorbell.
//!
//! ```text
//! iceoryx2-peer oneway     [--size BYTES] [--copy] [--metric NAME] [--quick]             5 ms gap, receiver blocked
//! iceoryx2-peer pingpong   [--size BYTES] [--copy] [--pin A,B] [--metric NAME] [--quick] half of a round trip
//! iceoryx2-peer throughput [--size BYTES] [--copy] [--spin] [--messages N] [--quick]     lossless, queue of 32
//! iceoryx2-peer setup                                                                    one edge, and descriptors
//! iceoryx2-peer release    [--rounds N]                                                  kill -9 of the receiver
//! ```
//! `--copy`: the payload is copied in, otherwise 8 bytes are written in place. `--spin`: no doorbell, the receiver polls.

mod costs;
mod line;
mod transport;

use bench_common::{Args, Outcome};
use iceoryx2::prelude::{LogLevel, set_log_level};

fn main() -> Outcome<()> {
    set_log_level(LogLevel::Error);
    let args = Args::of_process(&["copy", "spin", "quick"]);
    match args.word() {
        "oneway" | "pingpong" | "throughput" => transport::measure(&args),
        "answer" => transport::answer(&args),
        "setup" => costs::setup(),
        "release" => costs::release(args.get("rounds", 5)?),
        "hold" => costs::hold(&args),
        word => Err(format!("expected oneway, pingpong, throughput, setup or release, found `{word}`").into()),
    }
}
