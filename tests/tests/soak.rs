//! A long day in short: dataflows come and go, clients look at them and leave, coordinator and daemon are killed and hang.
//! In the end the control plane is as in the beginning: what it holds, what `list` says, and the dataflow that ran all day.
//!
//! The seed is printed; `DORA_CHAOS_SEED` runs one again. Which process is where at which moment is not in the seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use dora_tests::{
    Footprint, Havoc, Holdings, PATIENCE, Running, Workbench, await_gone, await_holdings,
    flows::{ENDLESS, FAILING, SHORT, check_lines, list},
    rounds,
};
use rustix::process::{Pid, Signal};
use serde_json::Value;

/// It runs all day: an edge whose messages are all counted.
const STEADY: &str = "\
nodes:
  - { id: pump, path: '{node}', args: pump 1, inputs: { tick: dora/timer/millis/5 }, outputs: [data] }
  - id: tally
    path: '{node}'
    args: tally
    inputs: { all: { source: pump/data, queue_size: 50, queue_policy: backpressure } }
";

/// A node that crashes and is started again, and one that hears of it.
const CRASHING: &str = "\
nodes:
  - { id: source, path: '{node}', args: crashing-source 3 2, outputs: [data], restart_policy: on-failure }
  - { id: tell, path: '{node}', args: tell, inputs: { data: source/data } }
";

/// A program that prints a lot.
const CHATTY: &str = "nodes: [{ id: talk, path: talk.sh }]\n";
const TALK: usize = 20_000;

/// Memory that a coordinator or a daemon may have more at one quiet moment than at another one, in KiB.
const TOLERANCE: u64 = 8 << 10;
/// More that run at once are stopped.
const RUNNING: usize = 5;

/// A dataflow that comes and goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flow {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Endless,
    Short,
    Failing,
    Crashing,
    Chatty,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Endless, Self::Short, Self::Failing, Self::Crashing, Self::Chatty];

    fn file(self) -> &'static str {
        match self {
            Self::Endless => "endless.yml",
            Self::Short => "short.yml",
            Self::Failing => "failing.yml",
            Self::Crashing => "crashing.yml",
            Self::Chatty => "chatty.yml",
        }
    }

    /// How it ends.
    fn end(self) -> &'static str {
        if self == Self::Failing { "Failed" } else { "Finished" }
    }

    /// A word that its nodes print, and how often.
    fn lines(self) -> Option<(&'static str, usize)> {
        match self {
            Self::Endless => None,
            Self::Short => Some(("node: tick ", 3)),
            Self::Failing => Some(("about to fail", 2)),
            Self::Crashing => Some(("tell: data = ", 9)),
            Self::Chatty => Some(("talk: ", TALK)),
        }
    }
}

struct Soak<'a> {
    havoc: Havoc<'a>,
    bench: &'a Workbench,
    /// What `list` has to say.
    expected: BTreeMap<String, String>,
    /// Those that run, besides the one that always does.
    running: Vec<Flow>,
    count: usize,
}

/// What is there at a quiet moment.
struct Quiet {
    footprint: Footprint,
    processes: [Pid; 2],
    /// What the keeper holds that lives through all of it.
    keeper: Holdings,
}

impl<'a> Soak<'a> {
    fn begin(bench: &'a Workbench) -> Self {
        bench.script("talk.sh", &format!("seq {TALK}"));
        let flows = Kind::ALL.map(Kind::file).into_iter().zip([ENDLESS, SHORT, FAILING, CRASHING, CHATTY]);
        flows.chain([("steady.yml", STEADY)]).for_each(|(file, text)| _ = bench.dataflow(file, text));
        let havoc = Havoc::up(bench);
        // A daemon that is away sees no file: it is sent, and kept for the next time. Here are all of them, once.
        for (file, name) in [("chatty.yml", "talk"), ("short.yml", "node")] {
            bench.run(&format!("start {file} --name {name} --copy --attach")).expect_code(0);
        }
        bench.run("clean").expect_code(0);
        bench.run("start steady.yml --name steady --detach").expect_code(0);
        // In the end they will not be those that have started it either.
        ["coordinator", "daemon"].iter().for_each(|verb| havoc.cluster.kill(verb));
        bench.run("up").expect_code(0);
        let expected = [("steady".to_owned(), "Running".to_owned())].into();
        Self { havoc, bench, expected, running: Vec::new(), count: 0 }
    }

    /// Dataflows come and go for so long; `struck`: while parts of the control plane are killed and hang.
    fn go_on(&mut self, time: Duration, struck: bool) {
        let (end, before) = (Instant::now() + time, self.count);
        while Instant::now() < end {
            self.cycle(struck);
        }
        println!("{} dataflows have come", self.count - before);
    }

    fn cycle(&mut self, struck: bool) {
        let flows: Vec<Flow> = (0..self.havoc.dice.usize(1..5)).map(|_| self.next_flow()).collect();
        let start = |flow: &Flow| self.bench.dora(["start", flow.kind.file(), "--detach", "--name", &flow.name]);
        let starts: Vec<Running> = flows.iter().map(start).collect();
        let struck_early = struck && self.havoc.dice.u8(..4) == 0;
        if struck_early {
            self.havoc.pause(100);
            self.havoc.strike();
        }
        let codes = starts.into_iter().map(|start| start.finish());
        let (whole, doubtful): (Vec<_>, Vec<_>) =
            flows.into_iter().zip(codes).partition(|(_, code)| code.code == Some(0));
        for (flow, answer) in doubtful {
            // It may have failed before it ran.
            assert!(struck_early || flow.kind == Kind::Failing, "{flow:?}: {answer:?}");
            self.settle(flow, struck_early);
        }
        let whole: Vec<Flow> = whole.into_iter().map(|(flow, _)| flow).collect();
        let clients: Vec<Running> = whole.iter().map(|flow| self.look_at(flow)).collect();
        self.havoc.pause(500);
        if struck {
            self.havoc.strike();
        }
        self.running.extend(whole);
        self.end_some(RUNNING);
        clients.into_iter().for_each(|client| self.leave(client));
        if self.havoc.dice.u8(..8) == 0 {
            self.clean();
        }
        assert_eq!(list(self.bench), self.expected);
    }

    fn next_flow(&mut self) -> Flow {
        self.count += 1;
        let kind = self.havoc.dice.choice(Kind::ALL).expect("kinds");
        Flow { name: format!("{kind:?}-{}", self.count).to_lowercase(), kind }
    }

    /// A dataflow whose start said that it failed: it is there, or it is not; nothing in between.
    fn settle(&mut self, flow: Flow, struck: bool) {
        let state = list(self.bench).remove(&flow.name);
        match state.as_deref() {
            None => assert!(struck, "{flow:?} is not there"),
            Some("Finished" | "Failed") => _ = self.expected.insert(flow.name, state.unwrap_or_default()),
            Some(_) => {
                self.bench.run(&format!("stop {}", flow.name));
                let state = list(self.bench).remove(&flow.name).expect("it was there");
                assert!(["Finished", "Failed"].contains(&state.as_str()), "{flow:?} is {state}");
                self.expected.insert(flow.name, state);
            }
        }
    }

    /// Somebody looks at a dataflow.
    fn look_at(&mut self, Flow { name, kind }: &Flow) -> Running {
        let line = match self.havoc.dice.u8(..4) {
            0 if *kind == Kind::Endless => format!("topic echo -d {name} ticker/data"),
            1 if *kind == Kind::Endless => format!("topic hz -d {name}"),
            2 => format!("logs {name} --follow --tail 5"),
            _ => format!("logs {name} --follow"),
        };
        self.bench.dora(line.split(' '))
    }

    /// Whoever looked at a dataflow goes, in good order or not.
    fn leave(&mut self, mut client: Running) {
        // It may have ended with its dataflow.
        if self.havoc.dice.bool() && client.is_there() {
            client.signal(Signal::INT);
            client.finish();
        }
    }

    /// Those that end by themselves are waited for; of the others, `most` stay.
    fn end_some(&mut self, most: usize) {
        let (mut endless, ending): (Vec<_>, Vec<_>) =
            self.running.drain(..).partition(|flow| flow.kind == Kind::Endless);
        for flow in ending {
            self.bench.run(&format!("logs {} --follow --tail 0", flow.name)).expect_code(0);
            self.ended(flow);
        }
        while endless.len() > most {
            let flow = endless.swap_remove(self.havoc.dice.usize(..endless.len()));
            assert_eq!(list(self.bench).get(&flow.name).map(String::as_str), Some("Running"));
            self.bench.run(&format!("stop {}", flow.name)).expect_code(0);
            self.ended(flow);
        }
        self.expected.extend(endless.iter().map(|flow| (flow.name.clone(), "Running".to_owned())));
        self.running = endless;
    }

    /// Nothing is missing of a dataflow that has ended.
    fn ended(&mut self, Flow { name, kind }: Flow) {
        match kind.lines() {
            None => check_lines(self.bench, &name),
            Some((word, count)) => {
                let lines = self.bench.run(&format!("logs {name}")).expect_code(0).stdout;
                assert_eq!(lines.matches(word).count(), count, "{name}: {lines}");
            }
        }
        self.expected.insert(name, kind.end().to_owned());
    }

    /// What has ended is forgotten, and leaves nothing.
    fn clean(&mut self) {
        let forgotten = self.bench.run("clean --quiet").expect_code(0).stdout;
        let files = self.bench.files();
        let is_left = |file: &&PathBuf| forgotten.lines().any(|id| file.to_string_lossy().contains(id));
        let left: Vec<_> = files.iter().filter(is_left).collect();
        assert!(left.is_empty(), "{left:?} of {forgotten}\n{}", self.diaries(&files));
        self.expected.retain(|_, state| state == "Running");
    }

    /// What coordinator and daemon have written about themselves.
    fn diaries(&self, files: &BTreeSet<PathBuf>) -> String {
        let diaries = files.iter().filter(|file| file.ends_with("log"));
        diaries.filter_map(|file| fs::read_to_string(file).ok()).collect()
    }

    /// Only the steady dataflow runs, nobody looks, nothing else is known: what is there then.
    fn quiet(&mut self, what: &str) -> Quiet {
        self.end_some(0);
        self.clean();
        assert_eq!(list(self.bench), self.expected);
        let keeper = Holdings::of(self.bench.keeper().as_raw_pid());
        let quiet = Quiet { footprint: self.footprint(), processes: self.steady(), keeper };
        println!("{what}: {}; keeper {} descriptors; {}", quiet.footprint, keeper.descriptors, self.latency());
        quiet
    }

    fn footprint(&self) -> Footprint {
        Footprint::of(self.bench, &self.havoc.cluster)
    }

    /// Everything is as it was.
    fn compare(&mut self, what: &str, before: &Quiet) {
        self.end_some(0);
        self.clean();
        before.footprint.await_again(self.bench, &self.havoc.cluster, TOLERANCE);
        await_holdings(self.bench.keeper().as_raw_pid(), before.keeper.and(0, 3));
        let now = self.quiet(what);
        assert_eq!(now.footprint.files, before.footprint.files);
        assert_eq!(now.processes, before.processes);
    }

    /// The processes of the dataflow that runs all day.
    fn steady(&self) -> [Pid; 2] {
        [" pump 1", " tally"].map(|role| self.bench.process(role))
    }

    /// From send to receive on its edge, in the last moments.
    fn latency(&self) -> String {
        let figures = self.bench.run("top --once").expect_code(0).stdout;
        let nodes: Vec<Value> = serde_json::from_str(&figures).expect(&figures);
        let edge = nodes.iter().find(|node| node["node_id"] == "tally").map(|node| &node["edges"][0]);
        let edge = edge.unwrap_or_else(|| panic!("no edge in {figures}"));
        assert_eq!(edge["dropped"], 0);
        let micros = |key: &str| edge[key].as_u64().unwrap_or_default() / 1000;
        format!("latency p50 {} µs, p99 {} µs", micros("latency_p50_ns"), micros("latency_p99_ns"))
    }

    /// The end of the day.
    fn end(self) {
        self.bench.run("stop steady").expect_code(0);
        check_steady(self.bench);
        self.havoc.cluster.down();
        await_gone(self.bench.mark(), PATIENCE);
    }
}

/// What the dataflow has sent, it has received: all of it, in order, or its node would have failed.
fn check_steady(bench: &Workbench) {
    assert_eq!(list(bench).get("steady").map(String::as_str), Some("Finished"));
    let logs = bench.run("logs steady").expect_code(0).stdout;
    let number = |before: &str| {
        let after = logs.split_once(before).map(|(_, after)| after.split_whitespace().next().unwrap_or_default());
        after.and_then(|number| number.parse::<u64>().ok()).unwrap_or_else(|| panic!("no `{before}` in {logs}"))
    };
    let (pumped, tallied) = (number("pumped "), number("tallied "));
    // What was on its way when it was stopped.
    assert!(tallied > 0 && tallied <= pumped + 1 && pumped <= tallied + 51, "{tallied} of {pumped}");
    println!("{tallied} messages, none lost");
}

#[test]
fn after_a_long_day_everything_is_as_in_the_beginning() {
    let calm = Duration::from_secs(rounds(1, 120) as u64);
    let storm = Duration::from_secs(rounds(6, 1200) as u64);
    let bench = Workbench::new();
    let mut soak = Soak::begin(&bench);
    soak.go_on(calm, false);
    let before = soak.quiet("in the beginning");
    soak.go_on(storm, true);
    soak.compare("after the storm", &before);
    // Whoever grows while nobody kills him is found here: it is one process from now on.
    soak.go_on(calm, false);
    soak.compare("after the calm", &before);
    soak.go_on(calm, false);
    soak.compare("in the end", &before);
    soak.end();
}
