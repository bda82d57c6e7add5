//! A web server for one test: it answers as the test says, and counts.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// What is sent for a path.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This content.
    Content(Vec<u8>),
    /// Another URL.
    Redirect(String),
    /// A status and nothing else.
    Status(u16),
    /// This content as the beginning of something longer; then the connection is closed.
    Truncated(Vec<u8>),
}

/// A server on a port of its own. Dropped it ends.
pub struct WebServer {
    address: SocketAddr,
    requests: Arc<Mutex<BTreeMap<String, usize>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl WebServer {
    /// Answers each path, which starts with a slash, one request at a time.
    ///
    /// # Panics
    /// When the machine has no port to give.
    pub fn start(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let requests = Arc::new(Mutex::new(BTreeMap::new()));
        let ending = Arc::new(AtomicBool::new(false));
        let (counts, end) = (Arc::clone(&requests), Arc::clone(&ending));
        let serve = move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let Some(path) = path(&stream) else { continue };
                *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(path.clone()).or_default() += 1;
                send(stream, answer(&path));
            }
        };
        Self { address, requests, ending, thread: Some(thread::spawn(serve)) }
    }

    /// The URL of a path, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often a path was asked for.
    pub fn requests(&self, path: &str) -> usize {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or_default()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        // It waits for a connection.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The path that is asked for, without its query; the rest of the request is read and ignored.
fn path(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1)?;
    Some(path.split('?').next().unwrap_or(path).to_owned())
}

fn send(mut stream: TcpStream, answer: Answer) {
    let (status, header, body) = match answer {
        Answer::Content(body) => (200, format!("Content-Length: {}", body.len()), body),
        Answer::Redirect(url) => (302, format!("Location: {url}\r\nContent-Length: 0"), Vec::new()),
        Answer::Status(status) => (status, "Content-Length: 0".to_owned(), Vec::new()),
        Answer::Truncated(body) => (200, format!("Content-Length: {}", body.len() + 1000), body),
    };
    // Whoever closed the connection does not want the rest.
    let _ = stream
        .write_all(format!("HTTP/1.1 {status} -\r\n{header}\r\nConnection: close\r\n\r\n").as_bytes())
        .and_then(|()| stream.write_all(&body));
}
