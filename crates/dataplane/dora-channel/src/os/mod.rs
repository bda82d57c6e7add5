//! What a channel needs from the operating system: unnamed memory, sleeping on a word, packets that carry descriptors. And
//! what others need of it that safe crates have no words for.
//!
//! Linux today. Another system gets a file with the same items; nothing outside this folder calls the system.

mod linux {
    pub mod clock;
    pub mod fork;
    pub mod heap;
    pub mod memory;
    pub mod named;
    pub mod packet;
    pub mod signal;
    pub mod sleep;
}

pub use linux::{clock, fork, heap, memory, named, packet, signal, sleep};
