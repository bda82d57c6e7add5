//! A coordinator on the network: who is let in, who is not, and what strangers can do to it.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
};

use dora_gateways::{DispatcherCall, DispatcherGateway as _, Submission};
use dora_rpc::{Address, Fingerprint, Gateway, Role, RpcConfig, RpcService, Token};
use dora_tests::{Cluster, Finished, Running, Workbench, dora, expect_in, free_port};
use rustix::process::Signal;

/// A coordinator and a daemon that are reached on 127.0.0.1, and a user elsewhere.
struct Site<'a> {
    bench: &'a Workbench,
    port: u16,
    /// The command that makes the coordinator known elsewhere.
    invitation: String,
    cluster: Cluster<'a>,
}

impl<'a> Site<'a> {
    fn up(bench: &'a Workbench, more: &str) -> Self {
        let (cluster, port) = (Cluster::guard(bench), free_port());
        let line = format!("up --interface 127.0.0.1 --port {port} {more}");
        let up = bench.dora(line.split_whitespace()).finish().expect_code(0);
        let invitation = up.stdout.lines().map(str::trim).find(|line| line.starts_with("dora context add "));
        let invitation = invitation.unwrap_or_else(|| panic!("no command for others in {}", up.stdout)).to_owned();
        Self { bench, port, invitation, cluster }
    }

    /// The home of the user elsewhere.
    fn elsewhere(&self) -> PathBuf {
        self.bench.path().join("elsewhere")
    }

    /// A command line as it is typed elsewhere.
    fn types(&self, line: &str) -> Finished {
        let mut command = self.bench.shell(&line.replacen("dora", &dora().to_string_lossy(), 1));
        command.env("DORA_HOME", self.elsewhere());
        Running::start(command).finish()
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What follows a word in the invitation.
    fn invited_by(&self, option: &str) -> &str {
        let mut words = self.invitation.split(' ').skip_while(|word| *word != option);
        words.nth(1).unwrap_or_else(|| panic!("no {option} in {}", self.invitation))
    }

    fn still_serves(&self) {
        let line = format!("status --coordinator-port {}", self.port);
        self.bench.dora(line.split(' ')).finish().expect_code(0);
    }

    fn down(&self) {
        let line = format!("down --coordinator-port {}", self.port);
        self.bench.dora(line.split(' ')).finish().expect_code(0);
    }
}

#[test]
fn the_printed_command_makes_a_coordinator_known_elsewhere() {
    let bench = Workbench::new();
    let site = Site::up(&bench, "");
    let address = site.address();
    let unknown = site.types(&format!("dora status --coordinator-addr localhost:{}", site.port)).expect_code(1);
    expect_in(&unknown.stderr, &["no coordinator runs on this host"]);
    let added = site.types(&site.invitation).expect_code(0);
    expect_in(&added.stdout, &["added: the coordinator at ", &address]);
    let name = site.invitation.split(' ').nth(3).expect("a name").to_owned();
    for line in [
        format!("dora status --coordinator-addr {address}"),
        format!("dora status --coordinator-addr 127.0.0.1 --coordinator-port {}", site.port),
        format!("dora status --context {name}"),
    ] {
        expect_in(&site.types(&line).expect_code(0).stdout, &["Coordinator: Running", &address]);
    }
    let mut command = bench.command(["status"]);
    command.env("DORA_HOME", site.elsewhere()).env("DORA_COORDINATOR_ADDR", &address);
    Running::start(command).finish().expect_code(0);
    site.types("dora status").expect_code(1);
    site.types(&format!("dora context use {name}")).expect_code(0);
    site.types("dora status").expect_code(0);
    let shown =
        [site.types("dora context list"), site.types("dora context list -f json"), site.types("dora context show")];
    for shown in shown {
        let shown = shown.expect_code(0).stdout;
        assert!(
            shown.contains(&name) && shown.contains(&address) && !shown.contains(site.invited_by("--token")),
            "{shown}"
        );
    }
    // Again is no mistake, and the coordinator keeps its certificate and its token.
    let again =
        bench.dora(["up", "--interface", "127.0.0.1", "--port", &site.port.to_string()]).finish().expect_code(0);
    expect_in(&again.stdout, &["runs already", &site.invitation]);
    site.types(&format!("dora down --context {name}")).expect_code(0);
    site.types(&format!("dora context remove {name}")).expect_code(0);
    assert!(!site.types("dora context list").expect_code(0).stdout.contains(&name));
}

#[test]
fn a_daemon_elsewhere_comes_in_like_a_client() {
    let bench = Workbench::new();
    let site = Site::up(&bench, "");
    site.types(&site.invitation).expect_code(0);
    let mut command = bench.command(["daemon", "--machine-id", "far", "--labels", "where=elsewhere"]);
    command.env("DORA_HOME", site.elsewhere()).env("DORA_COORDINATOR_ADDR", site.address());
    let daemon = Running::start(command);
    daemon.await_text(&format!("Machine `far` serves the coordinator at {}", site.address()));
    let status = site.types(&format!("dora status --coordinator-addr {}", site.address())).expect_code(0);
    expect_in(&status.stdout, &["far", "where=elsewhere"]);
    daemon.signal(Signal::TERM);
    daemon.finish().expect_code(0);
    site.down();
}

#[test]
fn who_shows_nothing_or_the_wrong_thing_is_told_why() {
    let bench = Workbench::new();
    let site = Site::up(&bench, "");
    let status = format!("dora status --coordinator-addr {}", site.address());
    let invited = |option: &str, value: &str| site.invitation.replace(site.invited_by(option), value);

    site.types(&invited("--token", &"0".repeat(64))).expect_code(0);
    expect_in(
        &site.types(&status).expect_code(1).stderr,
        &["refuses the connection", "token", "`dora context add` line"],
    );

    let other = format!("sha256:{}", "0".repeat(64));
    let replaced = site.types(&invited("--fingerprint", &other)).expect_code(0);
    expect_in(&replaced.stdout, &["replaced"]);
    let told = site.types(&status).expect_code(1).stderr;
    expect_in(&told, &["is not the coordinator that it was", site.invited_by("--fingerprint"), &other]);

    let insecure = site.types(&format!("{status} --insecure")).expect_code(1);
    expect_in(&insecure.stderr, &["is no coordinator", "--insecure"]);
    expect_in(&site.types(&invited("--fingerprint", "sha256:12")).expect_code(2).stderr, &["64 hexadecimal digits"]);
    site.still_serves();
    site.down();
}

#[test]
fn insecure_is_said_in_so_many_words_on_both_sides() {
    let bench = Workbench::new();
    let site = Site::up(&bench, "--insecure");
    assert!(site.invitation.ends_with("--insecure"), "{}", site.invitation);
    let status = format!("dora status --coordinator-addr {}", site.address());
    site.types(&format!("{status} --insecure")).expect_code(0);
    site.types(&site.invitation).expect_code(0);
    site.types(&status).expect_code(0);
    assert!(!bench.home().join(format!("coordinators/{}/token", site.port)).exists());
    site.down();
}

#[test]
fn a_port_that_is_taken_names_who_has_it() {
    let bench = Workbench::new();
    let _cluster = Cluster::guard(&bench);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    for verb in ["coordinator", "up"] {
        let refused = bench.dora([verb, "--interface", "127.0.0.1", "--port", &port]).finish().expect_code(1);
        let holder = format!("127.0.0.1:{port} is in use by another process: process {} (", std::process::id());
        expect_in(&refused.stderr, &[&holder, "--port"]);
    }
    let nowhere = bench.dora(["coordinator", "--interface", "192.0.2.7", "--port", &port]).finish().expect_code(1);
    expect_in(&nowhere.stderr, &["cannot listen on 192.0.2.7", "names an address of this host"]);
}

/// What all kinds of ports of one coordinator have in common.
fn strangers(site: &Site, connect: impl Fn() -> Box<dyn Stream>, address: &Address) {
    let garbage =
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b"DORA\x01\xff\xff", b"DORA\x01\x04\x00\x01\x00\x01\x00", b"D"];
    for bytes in garbage {
        let mut stranger = connect();
        // It may be gone already.
        let _ = stranger.write_all(bytes);
        stranger.end();
        let _ = stranger.read_to_end(&mut Vec::new());
    }
    site.still_serves();
    let half_open: Vec<_> = (0..3).map(|_| connect()).collect();
    site.still_serves();
    let flood: Vec<_> = (0..200).map(|_| connect()).collect();
    site.still_serves();
    drop((half_open, flood));
    oversized(address);
    site.still_serves();
}

/// A caller that does not keep to the limit for messages.
fn oversized(address: &Address) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = RpcConfig { message_limit: 64 << 20, ..RpcConfig::new(Role::Client, "test") };
    runtime.block_on(async {
        let service = RpcService::new(config);
        let dispatcher: Gateway<DispatcherCall> = service.connect(address, "dispatcher").await.expect("let in");
        let submission = Submission { descriptor: "#".repeat(20 << 20), ..Submission::default() };
        dispatcher.submit(submission).await.expect_err("too much");
    });
}

trait Stream: std::io::Read + std::io::Write {
    /// Nothing more comes.
    fn end(&self);
}

impl Stream for TcpStream {
    fn end(&self) {
        let _ = self.shutdown(std::net::Shutdown::Write);
    }
}

impl Stream for UnixStream {
    fn end(&self) {
        let _ = self.shutdown(std::net::Shutdown::Write);
    }
}

fn over_tcp(site: &Site) -> impl Fn() -> Box<dyn Stream> {
    let address = site.address();
    move || Box::new(TcpStream::connect(&address).expect("somebody listens"))
}

#[test]
fn strangers_on_the_socket_keep_nobody_out() {
    let bench = Workbench::new();
    let site = Site::up(&bench, "");
    let path = bench.home().join(format!("coordinators/{}/socket", site.port));
    let socket = path.clone();
    strangers(&site, move || Box::new(UnixStream::connect(&socket).expect("somebody listens")), &Address::unix(path));
    site.down();
}

#[test]
fn strangers_on_the_encrypted_port_keep_nobody_out() {
    let bench = Workbench::new();
    let site = Site::up(&bench, "");
    let fingerprint: Fingerprint = site.invited_by("--fingerprint").parse().expect("a fingerprint");
    let token = Token::from(site.invited_by("--token").to_owned());
    let address = Address::tls("127.0.0.1", site.port, fingerprint).with_token(token);
    strangers(&site, over_tcp(&site), &address);
    site.types(&site.invitation).expect_code(0);
    site.types(&format!("dora status --coordinator-addr {}", site.address())).expect_code(0);
    site.down();
}

#[test]
fn strangers_on_the_open_port_keep_nobody_out() {
    let bench = Workbench::new();
    let site = Site::up(&bench, "--insecure");
    strangers(&site, over_tcp(&site), &Address::tcp("127.0.0.1", site.port));
    site.types(&format!("dora status --insecure --coordinator-addr {}", site.address())).expect_code(0);
    site.down();
    drop(site.cluster);
}
