//! Where processes that send each other messages run. What a wake-up costs depends on it more than on anything else: on
//! one CPU caches are shared and nobody has to wake a sleeping core. Where the scheduler may choose, two runs of the same
//! program differ by as much as two programs.

use crate::flow::Node;

/// The suffixes of metrics, in the order in which figures are shown.
pub const PLACES: [&str; 3] = ["one_cpu", "two_cpus", "free"];

/// A way to place processes.
#[derive(Clone, Copy)]
pub struct Place {
    /// One of [`PLACES`].
    pub name: &'static str,
    cpus: Option<[usize; 2]>,
}

impl Place {
    /// All that this machine allows.
    pub fn all() -> impl Iterator<Item = Self> {
        let is_alone = std::thread::available_parallelism().map_or(1, usize::from) < 2;
        let cpus = [Some([0, 0]), Some([0, 1]), None];
        let places = PLACES.into_iter().zip(cpus).map(|(name, cpus)| Self { name, cpus });
        places.filter(move |place| !(is_alone && place.name == "two_cpus"))
    }

    /// The name of a metric that is measured here.
    pub fn metric(self, of: &str) -> String {
        format!("{of}_{}", self.name)
    }

    /// What tells a peer to run here.
    pub fn option(self) -> String {
        self.cpus.map_or(String::new(), |[first, second]| format!(" --pin {first},{second}"))
    }

    /// Nodes that run here: one after the other in a chain, each beside the next.
    pub fn put(self, nodes: Vec<Node>) -> Vec<Node> {
        let Some(cpus) = self.cpus else { return nodes };
        nodes.into_iter().zip(cpus.into_iter().cycle()).map(|(node, cpu)| node.env("BENCH_CPU", cpu)).collect()
    }
}
