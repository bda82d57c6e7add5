//! Builds that cannot be had from the command line in a short time: servers that fall silent, and cancelling.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use dora_daemon::{Build, BuildError, BuildOptions, BuildProblem};
use dora_gateways::Progress;

const HELPER: &str = env!("CARGO_BIN_EXE_dora-daemon-test-helper");

fn build(dir: &Path, text: &str, patience: Duration) -> Build {
    let loaded = dora_descriptor::parse("a.yml", text, &dora_descriptor::Options::default()).unwrap();
    let options = BuildOptions { patience, ..BuildOptions::new(HELPER.into()) };
    Build::plan(&loaded.dataflow, Path::new("a.yml"), dir, options).unwrap()
}

/// A server that answers the first request with this and then says no more; it keeps the connection for ever.
fn silent_server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/node", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(answer).unwrap();
        loop {
            thread::park();
        }
    });
    url
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"] {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("nodes: [{{ id: a, path: '{}' }}]", silent_server(answer));
        let error = build(dir.path(), &text, Duration::from_millis(200)).run(&mut |_| {}).unwrap_err();
        let BuildError::Node { problem, .. } = error else { panic!("{error}") };
        assert!(matches!(*problem, BuildProblem::Download { .. }), "{problem}");
    }
}

#[test]
fn a_download_and_a_line_end_when_the_build_is_cancelled() {
    let url = silent_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
    let dir = tempfile::tempdir().unwrap();
    let text =
        format!("nodes: [{{ id: a, path: '{url}' }}, {{ id: b, path: x, build: \"sh -c 'echo on; sleep 1000'\" }}]");
    let build = build(dir.path(), &text, Duration::from_secs(1000));
    let control = build.control();
    let (mut downloads, mut runs) = (false, false);
    let result = build.run(&mut |event| {
        downloads |= matches!(event.progress, Progress::Downloading(_));
        runs |= matches!(event.progress, Progress::Output { .. });
        if downloads && runs {
            control.cancel();
        }
    });
    assert!(matches!(result, Err(BuildError::Cancelled)));
}

#[test]
fn cancelled_before_it_starts_it_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let build = build(dir.path(), "nodes: [{ id: a, path: x, build: touch made }]", Duration::from_secs(1));
    build.control().cancel();
    let (events, received) = mpsc::channel();
    assert!(matches!(build.run(&mut |event| events.send(event).unwrap()), Err(BuildError::Cancelled)));
    assert!(received.try_recv().is_err() && !dir.path().join("made").exists());
}
