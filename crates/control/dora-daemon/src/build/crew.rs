//! Who builds: a few threads that take jobs whose claims are free; and how all of them are stopped at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use dora_message::id::NodeId;

use super::{
    BuildEvent, BuildOptions, BuildProblem, Progress,
    job::{Fetched, Job},
    output::OutDir,
    plan::Claim,
    session::Session,
};

/// What workers report.
pub(super) enum Message {
    Event(BuildEvent),
    Done(NodeId, Result<Fetched, BuildProblem>),
}

/// What all workers share.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) options: BuildOptions,
    pub(super) out: OutDir,
    pub(super) session: Session,
    pub(super) control: BuildControl,
}

impl Crew {
    /// Starts the workers; they end when there is no job left or the build is cancelled.
    pub(super) fn start(self, jobs: Vec<Job>, messages: Sender<Message>) -> io::Result<()> {
        // Two at least: much of a build is waiting for a server.
        let workers = thread::available_parallelism().map_or(1, usize::from).max(2).min(jobs.len());
        let crew = Arc::new(self);
        let queue =
            Arc::new(Queue { state: Mutex::new(Waiting { jobs, claimed: BTreeSet::new() }), freed: Condvar::new() });
        for number in 0..workers {
            let (worker, queue, messages) = (Arc::clone(&crew), Arc::clone(&queue), messages.clone());
            let work = move || worker.work(&queue, &messages);
            let spawned = thread::Builder::new().name(format!("build {number}")).spawn(work);
            spawned.inspect_err(|_| crew.control.cancel())?;
        }
        Ok(())
    }

    fn work(&self, queue: &Queue, messages: &Sender<Message>) {
        while let Some(job) = queue.take(&self.control) {
            let say = |progress| {
                let _ = messages.send(Message::Event(BuildEvent { node: job.node.clone(), progress }));
            };
            let result = job.run(self, &say);
            let failed = result.is_err();
            // Before the others hear of it, so that the first failure that is reported is the cause.
            let _ = messages.send(Message::Done(job.node.clone(), result));
            if failed {
                self.control.cancel();
            }
            queue.give_back(&job.claims);
        }
    }
}

/// How a job tells what happens.
pub(super) type Say<'a> = &'a dyn Fn(Progress);

/// Jobs that wait, and what those that run have claimed.
struct Queue {
    state: Mutex<Waiting>,
    freed: Condvar,
}

struct Waiting {
    jobs: Vec<Job>,
    claimed: BTreeSet<Claim>,
}

impl Queue {
    /// The first job whose claims are free; waits for one. None: nothing is left, or the build is cancelled.
    fn take(&self, control: &BuildControl) -> Option<Job> {
        let mut state = lock(&self.state);
        loop {
            if control.is_cancelled() || state.jobs.is_empty() {
                return None;
            }
            if let Some(index) = state.jobs.iter().position(|job| job.claims.is_disjoint(&state.claimed)) {
                let job = state.jobs.remove(index);
                state.claimed.extend(job.claims.iter().cloned());
                return Some(job);
            }
            // Somebody has claimed something, and gives it back even if the build is cancelled meanwhile.
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, claims: &BTreeSet<Claim>) {
        lock(&self.state).claimed.retain(|claim| !claims.contains(claim));
        self.freed.notify_all();
    }
}

/// Stops a build, from any thread.
#[derive(Debug, Clone, Default)]
pub struct BuildControl(Arc<Mutex<Stopping>>);

#[derive(Default)]
struct Stopping {
    cancelled: bool,
    next: u64,
    /// Whatever a worker waits for at this moment can be ended by calling this.
    ends: BTreeMap<u64, Box<dyn Fn() + Send>>,
}

impl std::fmt::Debug for Stopping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stopping").field("cancelled", &self.cancelled).field("waiting", &self.ends.len()).finish()
    }
}

impl BuildControl {
    /// Kills all that the build has started and starts nothing more. [`Build::run`](super::Build::run) returns soon.
    pub fn cancel(&self) {
        let mut stopping = lock(&self.0);
        stopping.cancelled = true;
        stopping.ends.values().for_each(|end| end());
    }

    /// Whether somebody has called [`BuildControl::cancel`], or a node could not be built.
    pub fn is_cancelled(&self) -> bool {
        lock(&self.0).cancelled
    }

    /// Waits in `wait`, which `end` ends when the build is cancelled.
    pub(super) fn until_cancelled<T>(
        &self,
        end: impl Fn() + Send + 'static,
        wait: impl FnOnce() -> T,
    ) -> Result<T, BuildProblem> {
        let key = {
            let mut stopping = lock(&self.0);
            if stopping.cancelled {
                return Err(BuildProblem::Cancelled);
            }
            stopping.next += 1;
            let key = stopping.next;
            stopping.ends.insert(key, Box::new(end));
            key
        };
        let result = wait();
        let mut stopping = lock(&self.0);
        stopping.ends.remove(&key);
        if stopping.cancelled { Err(BuildProblem::Cancelled) } else { Ok(result) }
    }

    /// Does `work` in a thread of its own, because it waits in system calls that nothing ends.
    ///
    /// None: it has shown no sign of life for as long as `patience`. A thread that is left alone ends at its next one.
    pub(super) fn aside<T: Send + 'static>(
        &self,
        patience: Option<Duration>,
        work: impl FnOnce(&SignOfLife) -> T + Send + 'static,
    ) -> Result<Option<T>, BuildProblem> {
        let (sender, receiver) = mpsc::channel();
        let (alive, end) = (sender.clone(), sender.clone());
        let work = move || {
            let life = SignOfLife(Box::new(move || alive.send(Sign::Alive).is_ok()));
            let _ = sender.send(Sign::Done(work(&life)));
        };
        thread::Builder::new().name("build aside".to_owned()).spawn(work).map_err(BuildProblem::Thread)?;
        let wait = || loop {
            let sign = match patience {
                Some(patience) => receiver.recv_timeout(patience),
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match sign {
                Ok(Sign::Alive) => {}
                Ok(Sign::Done(value)) => return Some(value),
                Ok(Sign::Cancelled) | Err(_) => return None,
            }
        };
        let cancelled = move || {
            let _ = end.send(Sign::Cancelled);
        };
        self.until_cancelled(cancelled, wait)
    }
}

enum Sign<T> {
    Alive,
    Done(T),
    Cancelled,
}

/// How work that was set aside shows that it goes on.
pub(super) struct SignOfLife(Box<dyn Fn() -> bool>);

impl SignOfLife {
    /// False: nobody waits any more.
    pub(super) fn show(&self) -> bool {
        (self.0)()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_the_build_is_cancelled() {
        let control = BuildControl::default();
        let other = control.clone();
        let (_never, nothing) = mpsc::channel::<()>();
        let started = move |_: &SignOfLife| {
            other.cancel();
            let _ = nothing.recv();
        };
        assert!(matches!(control.aside(None, started), Err(BuildProblem::Cancelled)));
        assert!(matches!(control.aside(None, |_| ()), Err(BuildProblem::Cancelled)));
    }

    #[test]
    fn silence_is_noticed_and_signs_of_life_are_heard() {
        let control = BuildControl::default();
        let (_never, nothing) = mpsc::channel::<()>();
        let silent = move |_: &SignOfLife| {
            let _ = nothing.recv();
        };
        assert!(matches!(control.aside(Some(Duration::from_millis(10)), silent), Ok(None)));
        let busy = |life: &SignOfLife| life.show();
        assert!(matches!(control.aside(Some(Duration::from_secs(60)), busy), Ok(Some(true))));
    }
}
