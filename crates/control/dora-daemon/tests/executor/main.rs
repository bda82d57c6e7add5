//! The daemon through its gateway, with real processes, a scripted master and a scripted resource manager: everything in
//! memory, and once more with everything turned into bytes.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod artifacts;
mod asking;
mod cluster;
mod logs;
mod registering;
mod running;
mod stopping;
mod watching;
