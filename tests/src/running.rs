//! A program that runs, with all that it prints.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::{PATIENCE, leftovers};

/// A started program. Dropped before its end it is killed.
pub struct Running {
    child: Child,
    output: Arc<Output>,
    started: Instant,
}

/// A program that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
    /// From its start to its end.
    pub took: std::time::Duration,
}

#[derive(Default)]
struct Output {
    text: Mutex<Text>,
    changed: Condvar,
}

#[derive(Default)]
struct Text {
    stdout: String,
    stderr: String,
    ended: usize,
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collect(&self, stream: impl Read, field: fn(&mut Text) -> &mut String) {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            field(&mut self.lock()).push_str(&String::from_utf8_lossy(&line));
            self.changed.notify_all();
            line.clear();
        }
        self.lock().ended += 1;
        self.changed.notify_all();
    }
}

impl Running {
    /// Starts a command and collects its output.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().expect("a program that exists");
        let output = Arc::new(Output::default());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let for_stdout = Arc::clone(&output);
        let for_stderr = Arc::clone(&output);
        // They end when the last process that holds the other end does.
        stdout.map(|stream| thread::spawn(move || for_stdout.collect(stream, |text| &mut text.stdout)));
        stderr.map(|stream| thread::spawn(move || for_stderr.collect(stream, |text| &mut text.stderr)));
        Self { child, output, started }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until one of its lines, on either stream, contains `text`.
    ///
    /// # Panics
    /// When it ends without that, or takes too long.
    pub fn await_text(&self, text: &str) {
        self.await_count(text, 1);
    }

    /// Waits until `text` has been printed `count` times.
    ///
    /// # Panics
    /// When it ends without that, or takes too long.
    pub fn await_count(&self, text: &str, count: usize) {
        let found = |output: &Text| output.stdout.matches(text).count() + output.stderr.matches(text).count() >= count;
        let guard = self.output.lock();
        let (guard, _) = self
            .output
            .changed
            .wait_timeout_while(guard, PATIENCE, |output| !found(output) && output.ended < 2)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(found(&guard), "no {count} x `{text}` in\n{}\n{}", guard.stdout, guard.stderr);
    }

    /// What it has printed on standard output so far.
    pub fn stdout_so_far(&self) -> String {
        self.output.lock().stdout.clone()
    }

    /// What it has printed on standard error so far.
    pub fn stderr_so_far(&self) -> String {
        self.output.lock().stderr.clone()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone already.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a process that still runs");
    }

    /// Waits until one of its lines contains `text`, and interrupts it, as Ctrl-C does: it must end well.
    ///
    /// # Panics
    /// When it does not print that, ends with another code than 0, or takes too long.
    #[track_caller]
    pub fn interrupt_at(self, text: &str) -> Finished {
        self.await_text(text);
        self.signal(Signal::INT);
        self.finish().expect_code(0)
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes too long.
    pub fn finish(mut self) -> Finished {
        let status = self.await_exit();
        let took = self.started.elapsed();
        let guard = self.output.lock();
        let (text, _) = self
            .output
            .changed
            .wait_timeout_while(guard, PATIENCE, |output| output.ended < 2)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(text.ended == 2, "it has ended, but a process that it left behind holds its output");
        Finished { code: status.code(), stdout: text.stdout.clone(), stderr: text.stderr.clone(), took }
    }

    /// Whether it still runs.
    pub fn is_there(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the process itself has ended; others may still hold its output.
    ///
    /// # Panics
    /// When it takes too long.
    pub fn await_exit(&mut self) -> ExitStatus {
        if let Ok(Some(status)) = self.child.try_wait() {
            return status;
        }
        let pidfd = pidfd_open(self.pid(), PidfdFlags::empty()).expect("our own child");
        if !leftovers::wait_for_exit(&pidfd, PATIENCE) {
            let text = self.output.lock();
            panic!("it does not end; it printed\n{}\n{}", text.stdout, text.stderr);
        }
        self.child.wait().expect("our own child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Fails, with all that was printed, unless the exit code is this.
    ///
    /// # Panics
    /// When the exit code is another.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// The figures of an edge in the table of `dora run -v`: sent, received, dropped, undelivered, lost.
    ///
    /// # Panics
    /// When there are none, or a message that was sent is not accounted for.
    #[track_caller]
    pub fn balanced(&self, edge: &str) -> [u64; 5] {
        let line = self.stderr.lines().find(|line| line.starts_with(edge) && !line.contains(": of "));
        let line = line.unwrap_or_else(|| panic!("no figures of {edge} in {}", self.stderr));
        let words: Vec<u64> = line.split_whitespace().skip(5).take(5).map(|word| word.parse().expect(line)).collect();
        let all @ [sent, received, dropped, undelivered, lost]: [u64; 5] = words.try_into().expect(line);
        assert_eq!(sent, received + dropped + undelivered + lost, "{edge}: {all:?}");
        all
    }
}

/// Sees to it that a text has all of these parts.
///
/// # Panics
/// When one is missing.
#[track_caller]
pub fn expect_in(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}
