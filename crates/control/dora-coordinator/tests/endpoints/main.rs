//! The endpoints of a coordinator among scripted daemons, on a paused clock: in memory, and once more with every call
//! turned into bytes, as between processes.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod daemon;
mod machines;
mod stop;
mod submit;
mod world;
