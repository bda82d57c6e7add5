//! The layer from outside: real endpoints, scripted in what they do, over every kind of link.
//!
//! What does not need a socket runs on a paused clock, in memory and again with forced serialisation: time then passes
//! only when everybody waits for it, so a deadline of ten seconds costs nothing and is kept to the millisecond.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod calls;
mod fencing;
mod heartbeats;
mod hostile;
mod life;
mod link;
mod registration;
mod scripted;
mod streams;
mod versions;
