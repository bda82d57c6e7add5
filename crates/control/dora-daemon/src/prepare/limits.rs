//! How long nodes may take, and on which cores they may run: what the dataflow file, the environment and the machine say.

use std::time::Duration;

use dora_descriptor::Node;
use dora_message::supervision::Limits;
use rustix::thread::{CpuSet, sched_getaffinity};

use super::PrepareOptions;

/// How long a node may go on after its inputs have ended, when nothing else is left: seconds, or `off`.
const FINISH_GRACE_ENV: &str = "DORA_FINISH_DRAIN_GRACE_SECS";
const FINISH_GRACE: Duration = Duration::from_secs(120);

/// What applies to nodes that say nothing themselves.
pub(super) struct Defaults {
    finish: Option<Duration>,
    /// Cores that this process may use; `None` if the system does not say.
    cores: Option<CpuSet>,
}

impl Defaults {
    pub(super) fn new(options: &PrepareOptions, warnings: &mut Vec<String>) -> Self {
        let said = options.inherited_env.iter().find(|(name, _)| name == FINISH_GRACE_ENV);
        let finish = match said.map(|(_, value)| value.to_str().unwrap_or_default().trim()) {
            None | Some("") => Some(FINISH_GRACE),
            Some("off") => None,
            Some(text) => Some(seconds(text).unwrap_or_else(|| {
                warnings.push(format!(
                    "{FINISH_GRACE_ENV} is `{text}`, expected seconds such as `30`, or `off`; {FINISH_GRACE:?} is used"
                ));
                FINISH_GRACE
            })),
        };
        Defaults { finish, cores: sched_getaffinity(None).ok() }
    }

    /// How long this node may take.
    pub(super) fn limits(&self, node: &Node) -> Limits {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Limits {
            startup_ms: node.health.startup_timeout.map(ms),
            health_ms: node.health.health_check_timeout.map(ms),
            finish_ms: node.health.finish_grace.or(self.finish).map(ms),
        }
    }

    /// The cores of this node that the machine has.
    pub(super) fn cores(&self, node: &Node, warnings: &mut Vec<String>) -> Vec<u32> {
        let is_there = |core: &u32| {
            let core = *core as usize;
            core < CpuSet::MAX_CPU && self.cores.as_ref().is_none_or(|cores| cores.is_set(core))
        };
        let (there, missing): (Vec<u32>, Vec<u32>) = node.cpu_affinity.iter().partition(|core| is_there(core));
        if !missing.is_empty() {
            let missing: Vec<_> = missing.iter().map(u32::to_string).collect();
            let then = if there.is_empty() { "it runs on any core" } else { "it runs on the others" };
            warnings.push(format!(
                "node `{}`: `cpu_affinity` names cores that dora may not use or this machine does not have ({}); {then}",
                node.id,
                missing.join(", ")
            ));
        }
        there
    }
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
