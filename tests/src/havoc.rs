//! Someone who kills and stops parts of the control plane, at random and again and again.

use std::{env, thread, time::Duration};

use fastrand::Rng;
use rustix::process::{Signal, kill_process};

use crate::{Cluster, Workbench};

/// Runs a seed again. Which process is where at which moment is not in it.
const SEED: &str = "DORA_CHAOS_SEED";

/// A coordinator and a daemon in danger.
pub struct Havoc<'a> {
    /// Where they run.
    pub bench: &'a Workbench,
    /// They.
    pub cluster: Cluster<'a>,
    /// What happens next.
    pub dice: Rng,
}

impl<'a> Havoc<'a> {
    /// They run, and the seed is printed.
    ///
    /// # Panics
    /// When they do not start.
    pub fn up(bench: &'a Workbench) -> Self {
        let seed = env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("{SEED}={seed}");
        Self { bench, cluster: Cluster::up(bench), dice: Rng::with_seed(seed) }
    }

    /// Something goes on for a while, less than so many milliseconds.
    pub fn pause(&mut self, most: u64) {
        thread::sleep(Duration::from_millis(self.dice.u64(..most)));
    }

    /// One of the two.
    pub fn victim(&mut self) -> &'static str {
        if self.dice.bool() { "coordinator" } else { "daemon" }
    }

    /// One of them or both are killed, or one hangs for a while; they are whole afterwards.
    ///
    /// # Panics
    /// When they are not.
    #[track_caller]
    pub fn strike(&mut self) {
        let verb = self.victim();
        match self.dice.u8(..6) {
            0..4 => {
                println!("the {verb} is killed");
                self.cluster.kill(verb);
                self.pause(500);
                if self.dice.bool() {
                    self.bench.run("list").expect_code(i32::from(verb == "coordinator"));
                }
            }
            4 => {
                println!("coordinator and daemon are killed");
                self.cluster.kill(verb);
                self.pause(100);
                self.cluster.kill(if verb == "daemon" { "coordinator" } else { "daemon" });
            }
            _ => {
                println!("the {verb} is stopped for a while");
                let process = self.cluster.process(verb);
                kill_process(process, Signal::STOP).expect("it runs");
                self.pause(4000);
                kill_process(process, Signal::CONT).expect("it runs");
            }
        }
        self.bench.run("up").expect_code(0);
    }
}
