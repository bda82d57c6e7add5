//! Plays the keeper, the supervisor and nodes in the tests of this crate.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]
#![allow(clippy::disallowed_methods, reason = "some nodes end without a word")]

use std::{
    io::{BufReader, Write},
    os::fd::{AsFd, OwnedFd},
    process::ExitCode,
    sync::Arc,
};

use dora_channel::{
    Arena, BudgetMemory, Consumer, InEdge, OutEdge, Outgoing, Payload, PeerArena, Policy, Polled, Producer, Waiter,
    Waker,
    os::{
        memory::{memfd_with, read_memfd},
        named::own_uid,
        packet::{self, Blocking},
    },
};
use dora_keeper::start::{Bond, start};
use dora_message::{
    keeper::{FromNode, MAX_PACKET, NODE_CONFIG_ENV, NodeConfig, NodeRunConfig, PROTOCOL_VERSION, QueuePolicy, ToNode},
    supervision::{FromKeeper, LaunchPlan, ToKeeper, keeper_name},
};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["keeper", ..] => dora_keeper::run(),
        ["supervise", plan] => supervise(plan),
        ["node", ref behaviour @ ..] => node(behaviour),
        _ => panic!("unknown role {args:?}"),
    }
}

/// Launches the plan in a file and prints what the keeper says, one JSON object per line.
fn supervise(plan: &str) -> ExitCode {
    let plan: LaunchPlan = serde_json::from_reader(BufReader::new(std::fs::File::open(plan).unwrap())).unwrap();
    let name = plan.lasting.as_ref().map(|lasting| keeper_name(own_uid(), &lasting.owner, &plan.dataflow_id));
    let bond = name.map_or(Bond::Tied, |name| Bond::Lasting { name });
    let (mut keeper, socket) = start(&std::env::current_exe().unwrap(), &bond).unwrap();
    println!("{{\"keeper\":{}}}", keeper.id());
    let json = serde_json::to_vec(&plan).unwrap();
    let launch = serde_json::to_vec(&ToKeeper::Launch { plan_len: json.len() as u64 }).unwrap();
    let memory = memfd_with("plan", &json).unwrap();
    packet::send(socket.as_fd(), &launch, &[memory.as_fd()], Blocking::Yes).unwrap();
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let (len, _) = packet::receive(socket.as_fd(), &mut buffer, Blocking::Yes).unwrap();
        if len == 0 {
            break;
        }
        serde_json::from_slice::<FromKeeper>(&buffer[..len]).unwrap();
        println!("{}", std::str::from_utf8(&buffer[..len]).unwrap());
    }
    assert!(keeper.wait().unwrap().success());
    ExitCode::SUCCESS
}

struct Node {
    socket: OwnedFd,
    waiter: Option<Waiter>,
    producer: Option<Producer>,
    consumer: Consumer,
}

impl Node {
    fn connect() -> Self {
        let config = config();
        let inherited = std::fs::read_dir("/proc/self/fd").unwrap();
        let numbers = inherited.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
        let others = numbers.filter(|&fd: &i32| fd > 2 && fd != config.keeper_fd).count();
        // One is the directory just read.
        say(&format!("{} other descriptors", others - 1));
        Node { socket: take(config.keeper_fd), waiter: None, producer: None, consumer: Consumer::new(0) }
    }
    fn say(&self, packet: &FromNode) {
        packet::send(self.socket.as_fd(), &serde_json::to_vec(packet).unwrap(), &[], Blocking::Yes).unwrap();
    }
    fn hello(&self) {
        self.say(&FromNode::Hello { version: PROTOCOL_VERSION, api: "test".to_owned() });
    }
    fn hear(&mut self, blocking: Blocking) -> Option<ToNode> {
        let mut buffer = vec![0; MAX_PACKET];
        let (len, fds) = packet::receive(self.socket.as_fd(), &mut buffer, blocking).ok()?;
        let text = std::str::from_utf8(&buffer[..len]).unwrap().to_owned();
        say(&format!("heard {} {text}", fds.len()));
        let packet = serde_json::from_str(&text).ok()?;
        self.take_in(&packet, fds);
        Some(packet)
    }
    fn take_in(&mut self, packet: &ToNode, fds: Vec<OwnedFd>) {
        let mut fds = fds.into_iter();
        let mut next = || fds.next().unwrap();
        match packet {
            ToNode::Welcome { config_len, budget_slot, .. } => {
                let config = read_memfd(next(), *config_len, 1 << 20).unwrap();
                let config: NodeRunConfig = serde_json::from_slice(&config).unwrap();
                say(&format!("i am {} with {} inputs", config.node_id, config.inputs.len()));
                self.waiter = Some(Waiter::open(next(), next()).unwrap());
                let (arena, holders, budget) = (next(), next(), BudgetMemory::map(next()).unwrap());
                let arena = Arena::open(arena, holders, budget, *budget_slot as usize).unwrap();
                self.producer = Some(Producer::new(arena, 1));
            }
            ToNode::Output(grant) => {
                let ring = next();
                assert!(grant.new_peer);
                let waker = Arc::new(Waker::open(next(), next()).unwrap());
                let edge = OutEdge::open(ring, grant.capacity, policy(grant.policy), grant.bit.into(), waker).unwrap();
                self.producer.as_mut().unwrap().add_edge(0, edge);
            }
            ToNode::Input(grant) => {
                let ring = next();
                assert!(grant.new_peer);
                let peer = PeerArena::open(next(), next()).unwrap();
                let bit = grant.bit.into();
                let edge = InEdge::open(grant.edge, ring, grant.capacity, policy(grant.policy), bit, peer).unwrap();
                self.consumer.add_edge(edge);
            }
            ToNode::KeepEdges => self.consumer.keep_edges(),
            _ => {}
        }
    }
    fn send(&mut self, number: u8) -> bool {
        self.send_sized(number, 4096)
    }
    fn send_sized(&mut self, number: u8, len: usize) -> bool {
        let mut chunk = self.producer.as_ref().unwrap().arena().allocate(len).unwrap();
        chunk.fill(number);
        let payload = Payload::Chunk { chunk, len, header_len: 0 };
        self.producer.as_mut().unwrap().send(0, Outgoing { tag: 0, stamp_ns: 0, payload }).is_ok_and(|sent| sent > 0)
    }
    fn hear_until(&mut self, last: impl Fn(&ToNode) -> bool) {
        loop {
            match self.hear(Blocking::Yes) {
                Some(packet) if last(&packet) => return,
                Some(ToNode::Refused { .. }) | None => std::process::exit(1),
                Some(_) => {}
            }
        }
    }
    fn start() -> Self {
        let mut node = Node::connect();
        node.hello();
        node.hear_until(|packet| *packet == ToNode::Wired);
        node.say(&FromNode::Ready);
        node.hear_until(|packet| *packet == ToNode::Start);
        node
    }
}

fn config() -> NodeConfig {
    serde_json::from_str(&std::env::var(NODE_CONFIG_ENV).unwrap()).unwrap()
}

/// Ends the thread that calls it, whatever becomes of the others.
#[allow(unsafe_code)]
fn end_this_thread() {
    // SAFETY: nothing of this thread is used by another one.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

#[allow(unsafe_code)]
fn take(fd: i32) -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the keeper left this descriptor to us and nobody else has taken it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

fn node(behaviour: &[&str]) -> ExitCode {
    match *behaviour {
        // Starts and returns a code.
        ["exit", code] => {
            drop(Node::start());
            ExitCode::from(code.parse::<u8>().unwrap())
        }
        // Runs until it is asked to stop.
        ["serve"] => {
            Node::start().hear_until(|packet| *packet == ToNode::Stop);
            ExitCode::SUCCESS
        }
        // Runs whatever it is asked.
        ["stubborn"] => {
            Node::start().hear_until(|_| false);
            ExitCode::SUCCESS
        }
        ["crash"] => {
            let _node = Node::start();
            eprintln!("about to crash");
            std::process::abort();
        }
        // Speaks a protocol of the future.
        ["version", version] => {
            let mut node = Node::connect();
            node.say(&FromNode::Hello { version: version.parse().unwrap(), api: "9.9.9".to_owned() });
            node.hear_until(|_| false);
            ExitCode::SUCCESS
        }
        // Says what no keeper understands, then starts.
        ["babble"] => {
            let node = Node::connect();
            for nonsense in [&b"{}"[..], b"\xff", b"{\"type\":\"from_the_future\",\"x\":[1]}", &[b'x'; 100_000]] {
                packet::send(node.socket.as_fd(), nonsense, &[], Blocking::Yes).unwrap();
            }
            // The same descriptor is taken again.
            std::mem::forget(node);
            drop(Node::start());
            ExitCode::SUCCESS
        }
        ["give-up"] => {
            let node = Node::connect();
            node.hello();
            node.say(&FromNode::Failed { reason: "no camera found".to_owned() });
            ExitCode::from(7)
        }
        // Dies between Hello and Ready.
        ["faint"] => {
            let mut node = Node::connect();
            node.hello();
            node.hear_until(|packet| *packet == ToNode::Wired);
            ExitCode::from(9)
        }
        // Sends that many messages, and dies without a word.
        ["send-and-abort", count] => {
            let mut node = Node::start();
            for number in 0..count.parse().unwrap() {
                assert!(node.send(number));
            }
            std::process::abort();
        }
        // Sends until nobody receives.
        ["send-for-ever"] => {
            let mut node = Node::start();
            while node.send(1) {}
            say("nobody receives");
            ExitCode::SUCCESS
        }
        // Sends that many messages, and runs until it is asked to stop.
        ["send-and-serve", count] => {
            let mut node = Node::start();
            for number in 0..count.parse().unwrap() {
                assert!(node.send(number));
            }
            node.hear_until(|packet| *packet == ToNode::Stop);
            ExitCode::SUCCESS
        }
        // Sends that many messages of 1 MiB. Asked to stop, it gives back what nobody holds, and runs on.
        ["send-large-and-trim", count] => {
            let mut node = Node::start();
            for number in 0..count.parse().unwrap() {
                assert!(node.send_sized(number, 1 << 20));
            }
            node.hear_until(|packet| *packet == ToNode::Stop);
            node.producer.as_ref().unwrap().arena().trim();
            say("trimmed");
            node.hear_until(|_| false);
            ExitCode::SUCCESS
        }
        // Waits until somebody looks at its output, sends that many messages, and runs until it is asked to stop.
        ["send-when-tapped", count] => {
            let mut node = Node::start();
            node.hear_until(|packet| matches!(packet, ToNode::Output(_)));
            for number in 0..count.parse().unwrap() {
                assert!(node.send(number));
            }
            node.hear_until(|packet| *packet == ToNode::Stop);
            ExitCode::SUCCESS
        }
        // Waits until somebody looks at its output, and sends until nobody does.
        ["send-while-tapped"] => {
            let mut node = Node::start();
            node.hear_until(|packet| matches!(packet, ToNode::Output(_)));
            while node.send(1) {}
            say("nobody looks");
            node.hear_until(|packet| matches!(packet, ToNode::Output(_)));
            while node.send(2) {}
            say("nobody looks again");
            ExitCode::SUCCESS
        }
        // Ends its inputs, and runs until it is asked to stop.
        ["deaf"] => {
            let mut node = Node::start();
            node.consumer = Consumer::new(0);
            say("deaf now");
            node.hear_until(|packet| *packet == ToNode::Stop);
            ExitCode::SUCCESS
        }
        // Goes on without its first thread, and has a child.
        ["headless"] => {
            #[allow(clippy::zombie_processes, reason = "somebody else has to end it")]
            let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
            std::thread::spawn(|| {
                loop {
                    std::thread::park();
                }
            });
            say(&format!("headless {}", std::process::id()));
            say(&format!("child {}", child.id()));
            end_this_thread();
            ExitCode::FAILURE
        }
        // Behaves so at first, and otherwise when it was started again.
        ["first", first, then] => match config().restart_count {
            0 => self::node(&[first]),
            _ => self::node(&[then]),
        },
        // Receives everything and keeps the first message, whatever it is asked.
        ["keep-first"] => {
            let mut node = Node::start();
            let mut kept = None;
            loop {
                match node.consumer.poll() {
                    Polled::Message { message, .. } => {
                        let number = message.payload()[0];
                        // The others are released here.
                        kept.get_or_insert(message);
                        say(&format!("released {number}"));
                    }
                    Polled::Closed { .. } | Polled::Broken { .. } => return ExitCode::SUCCESS,
                    Polled::Empty => {
                        let waiter = node.waiter.as_mut().unwrap();
                        waiter.wait(|| node.consumer.is_ready(), None);
                    }
                }
            }
        }
        // Sends until it is asked to stop.
        ["stream"] => {
            let mut node = Node::start();
            let mut sent = 0_u64;
            while node.hear(Blocking::No) != Some(ToNode::Stop) {
                assert!(node.send(sent as u8));
                sent += 1;
            }
            say(&format!("sent {sent}"));
            ExitCode::SUCCESS
        }
        // Receives everything, in order.
        ["count"] => {
            let mut node = Node::start();
            let mut received = 0_u64;
            loop {
                match node.consumer.poll() {
                    Polled::Message { message, .. } => {
                        assert_eq!(message.payload()[0], received as u8);
                        received += 1;
                    }
                    Polled::Closed { .. } | Polled::Broken { .. } => break,
                    Polled::Empty => {
                        let waiter = node.waiter.as_mut().unwrap();
                        waiter.wait(|| node.consumer.is_ready(), None);
                    }
                }
            }
            say(&format!("received {received}"));
            ExitCode::SUCCESS
        }
        // Receives everything. What happened before the end of an input must be in the mail by then.
        ["receive"] => {
            let mut node = Node::start();
            loop {
                match node.consumer.poll() {
                    Polled::Message { message, .. } => say(&format!("message {}", message.payload()[0])),
                    Polled::Closed { .. } | Polled::Broken { .. } => break,
                    Polled::Empty => {
                        let waiter = node.waiter.as_mut().unwrap();
                        waiter.wait(|| node.consumer.is_ready(), None);
                    }
                }
            }
            while node.hear(Blocking::No).is_some() {}
            say("closed");
            ExitCode::SUCCESS
        }
        ref other => panic!("unknown behaviour {other:?}"),
    }
}

fn policy(policy: QueuePolicy) -> Policy {
    match policy {
        QueuePolicy::DropOldest => Policy::DropOldest,
        QueuePolicy::DropNewest => Policy::DropNewest,
        QueuePolicy::Backpressure => Policy::Backpressure,
    }
}
