//! Recovery: how long after a kill of the control plane everything can be seen and commanded again, and what a running
//! edge notices of it.

use crate::bench::{Bench, ended_within, pid_of};
use crate::cluster::Cluster;
use crate::flow::{Node, Queue};
use crate::life::row;
use crate::transport::Stream;
use bench_common::{Outcome, now_ns};
use rustix::process::{PidfdFlags, pidfd_open};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

/// What is killed at once, and how the fault is called.
const FAULTS: [(&str, &[&str]); 3] =
    [("coordinator", &["coordinator"]), ("daemon", &["daemon"]), ("both", &["coordinator", "daemon"])];

/// Between two messages of the edge that is measured.
const GAP_MS: u64 = 1;

/// The processes of nodes, by id.
type Nodes = BTreeMap<String, u32>;

/// Each fault many times; then the latency of an edge under all of them.
pub fn everything(bench: &Bench) -> Outcome<()> {
    for system in bench.systems.iter().filter(|system| system.is_ours()) {
        let cluster = Cluster::up(bench, system)?;
        faults(&cluster)?;
        let turn = || {
            [Control::Quiet, Control::Commanded, Control::Killed]
                .into_iter()
                .try_for_each(|control| latency(&cluster, control))
        };
        bench.in_turn(turn)?;
    }
    Ok(())
}

/// For each fault: until `dora up` has returned, and until the nodes are seen as before.
fn faults(cluster: &Cluster<'_>) -> Outcome<()> {
    let (bench, system) = (cluster.bench, cluster.system);
    let waiting = |id: &str, source: &str| Node::new(id, "idle").input("in", source, Queue::Default).output("out");
    let nodes = start(cluster, "recovery", vec![waiting("a", "b/out"), waiting("b", "a/out")])?;
    for (fault, roles) in FAULTS {
        eprintln!("{} kill -9: {fault}", system.label);
        let (mut ups, mut seen) = (Vec::new(), Vec::new());
        for _ in 0..if bench.options.quick { 10 } else { 40 } {
            roles.iter().try_for_each(|role| cluster.kill(role))?;
            let started = now_ns();
            ups.push(cluster.timed(&["up"])?);
            await_nodes(cluster, &nodes, || Ok(false))?;
            seen.push((now_ns() - started) as f64 / 1e3);
        }
        row(bench, system, &format!("up_after_{fault}"), ups);
        row(bench, system, &format!("recovered_after_{fault}"), seen);
    }
    cluster.timed(&["stop", "recovery"]).map(drop)
}

/// What happens beside an edge.
#[derive(Clone, Copy, PartialEq)]
enum Control {
    /// Nothing.
    Quiet,
    /// The commands of [`Control::Killed`], without the kills: they take processor time too.
    Commanded,
    /// Coordinator and daemon are killed and started in turn, each as soon as the nodes are seen again.
    Killed,
}

impl Control {
    fn metric(self) -> &'static str {
        match self {
            Self::Quiet => "oneway_1ms_undisturbed",
            Self::Commanded => "oneway_1ms_beside_commands",
            Self::Killed => "oneway_1ms_beside_kills",
        }
    }
}

/// The latency of small messages, each a millisecond after the one before.
fn latency(cluster: &Cluster<'_>, control: Control) -> Outcome<()> {
    let (bench, system, metric) = (cluster.bench, cluster.system, control.metric());
    let count = if bench.options.quick { 5_000 } else { 20_000 };
    let nodes = start(cluster, metric, Stream::steady(metric, GAP_MS, count).pair())?;
    let sink = nodes.get("sink").ok_or("there is no node `sink`")?;
    let sink = pidfd_open(pid_of(*sink)?, PidfdFlags::empty())?;
    if control == Control::Quiet {
        let has_ended = ended_within(&sink, Duration::from_secs(120))?;
        return if has_ended { Ok(()) } else { Err(format!("{metric}: the messages do not end").into()) };
    }
    let (mut kills, mut roles) = (0, ["coordinator", "daemon"].into_iter().cycle());
    while !has_ended(&sink)? {
        if let (Control::Killed, Some(role)) = (control, roles.next()) {
            cluster.kill(role)?;
            kills += 1;
        }
        cluster.timed(&["up"])?;
        await_nodes(cluster, &nodes, || has_ended(&sink))?;
    }
    if control == Control::Killed {
        bench.rows_of(system).value("recovery_kills", 8, f64::from(kills), f64::from(kills), count);
    }
    Ok(())
}

fn has_ended(process: &OwnedFd) -> Outcome<bool> {
    ended_within(process, Duration::ZERO)
}

/// Starts a dataflow; its nodes when all of them run.
fn start(cluster: &Cluster<'_>, name: &str, nodes: Vec<Node>) -> Outcome<Nodes> {
    let count = nodes.len();
    let file = cluster.bench.flow(cluster.system, name, nodes)?;
    eprintln!("{} {name}", cluster.system.label);
    cluster.timed(&["start", "--detach", "--name", name, &file.to_string_lossy()])?;
    await_seen(cluster, |seen| Ok(seen.len() == count))
}

/// Returns when the list shows these very processes with what they take, or when `over`.
fn await_nodes(cluster: &Cluster<'_>, nodes: &Nodes, over: impl Fn() -> Outcome<bool>) -> Outcome<()> {
    await_seen(cluster, |seen| Ok(seen == nodes || over()?)).map(drop)
}

/// Asks until the answer is as wanted; each question waits for its answer, and looks at the nodes for a moment.
fn await_seen(cluster: &Cluster<'_>, is_wanted: impl Fn(&Nodes) -> Outcome<bool>) -> Outcome<Nodes> {
    let deadline = now_ns() + 60_000_000_000;
    loop {
        let seen = seen(cluster)?;
        if is_wanted(&seen)? {
            return Ok(seen);
        }
        if now_ns() > deadline {
            return Err(format!("the nodes do not come: {seen:?}").into());
        }
    }
}

/// The nodes of all running dataflows that a daemon reports on: what they take is known to none but their daemon.
fn seen(cluster: &Cluster<'_>) -> Outcome<Nodes> {
    let mut command = cluster.command(&["node", "list", "--format", "json"]);
    let listed = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let rows = String::from_utf8(listed.stdout)?;
    let rows: Vec<Value> = rows.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(rows.iter().filter_map(node).collect())
}

fn node(row: &Value) -> Option<(String, u32)> {
    let field = |key: &str| row[key].as_str();
    let is_there = field("status") == Some("Running") && field("memory") != Some("-");
    is_there.then(|| Some((field("node")?.to_owned(), field("pid")?.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_seen_when_its_daemon_reports_on_it() {
        let row = |status, pid, memory| json!({"node": "a", "status": status, "pid": pid, "memory": memory});
        assert_eq!(node(&row("Running", "77", "3.1 MB")), Some(("a".to_owned(), 77)));
        for absent in [row("Running", "77", "-"), row("Running", "-", "3.1 MB"), row("Unknown", "77", "3.1 MB")] {
            assert_eq!(node(&absent), None);
        }
    }
}
