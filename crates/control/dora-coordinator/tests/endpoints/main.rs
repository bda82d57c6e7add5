//! The endpoints of a coordinator among scripted daemons, on a paused clock: in memory, and once more with every call
//! turned into bytes, as between processes.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod commands;
mod daemon;
mod events;
mod full_disk;
mod leaving;
mod machines;
mod many;
mod recovery;
mod stop;
mod submit;
mod world;
