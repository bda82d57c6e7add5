//! The floor: what this machine's kernel and memory give without any library.
//!
//! ```text
//! floor oneway   [--bell futex|eventfd] [--pin A,B] [--metric NAME] [--quick]   wake-up after a 5 ms gap
//! floor pingpong [--bell futex|eventfd] [--pin A,B] [--metric NAME] [--quick]   half of a round trip
//! floor memcpy   [--size BYTES] [--quick]                                       one copy
//! ```

mod bell;
mod memory;
mod shared;
mod wakeup;

use bench_common::{Args, Outcome};

fn main() -> Outcome<()> {
    let args = Args::of_process(&["quick"]);
    match args.word() {
        "oneway" | "pingpong" => wakeup::measure(&args),
        "answer" => wakeup::answer(&args),
        "memcpy" => memory::measure(args.get("size", 4 << 20)?, args.text("quick").is_some()),
        word => Err(format!("expected oneway, pingpong or memcpy, found `{word}`").into()),
    }
}
