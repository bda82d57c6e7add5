//! Who is alive. (Flink: `HeartbeatManager`.)
//!
//! A connection that stands proves nothing: the endpoint behind it may hang, or the machine be gone without a word. So a
//! heartbeat is a call that goes through the mailbox of the endpoint. Two calls in a row that fail, no sign of life for the
//! whole timeout, or the end of the connection make a target unreachable; what that means, the listener decides.

use std::{collections::HashMap, hash::Hash, time::Duration};

use tokio::time::Instant;

use crate::{MainThread, RpcEndpoint, RpcError};

/// How often heartbeats are sent, and when a target counts as unreachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatConfig {
    /// From one heartbeat to the next: 2 s.
    pub interval: Duration,
    /// Without a sign of life for so long, a target is unreachable: 10 s.
    pub timeout: Duration,
    /// After so many failed heartbeats in a row, a target is unreachable at once: 2.
    pub failures: u32,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self { interval: Duration::from_secs(2), timeout: Duration::from_secs(10), failures: 2 }
    }
}

/// Why a target counts as unreachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// There was no sign of life for the whole timeout.
    Silent(Duration),
    /// Heartbeats failed, the last one so.
    Failing(RpcError),
    /// The connection to it has ended.
    Disconnected,
}

/// The endpoint that asks others for signs of life.
pub trait HeartbeatListener<K: HeartbeatTarget>: RpcEndpoint {
    /// Its manager.
    fn heartbeats(&mut self) -> &mut HeartbeatManager<K>;

    /// One heartbeat for `target`: a call of its gateway.
    fn heartbeat(&mut self, target: &K) -> impl Future<Output = Result<(), RpcError>> + Send + 'static;

    /// Completes when the connection to `target` has ended; never, if that is not known.
    fn disconnected(&mut self, _target: &K) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }

    /// `target` gave no sign of life. It is watched no longer.
    fn unreachable(&mut self, main: &mut MainThread<Self>, target: K, reason: Unreachable);
}

/// What can be watched: an id.
pub trait HeartbeatTarget: Clone + Eq + Hash + Send + 'static {}

impl<K: Clone + Eq + Hash + Send + 'static> HeartbeatTarget for K {}

/// Knows when each target last gave a sign of life. It belongs to the endpoint, which passes on what it hears.
#[derive(Debug)]
pub struct HeartbeatManager<K> {
    config: HeartbeatConfig,
    targets: HashMap<K, Watched>,
}

#[derive(Debug)]
struct Watched {
    /// Tells a target from an earlier one of the same id.
    since: Instant,
    seen: Instant,
    failures: u32,
}

impl<K: HeartbeatTarget> HeartbeatManager<K> {
    /// Watches nobody yet.
    pub fn new(config: HeartbeatConfig) -> Self {
        Self { config, targets: HashMap::new() }
    }

    /// Watches `target` from now on: sends it heartbeats, and tells the listener when it is unreachable.
    pub fn monitor<E: HeartbeatListener<K>>(endpoint: &mut E, main: &mut MainThread<E>, target: K) {
        let since = Instant::now();
        let watched = Watched { since, seen: since, failures: 0 };
        endpoint.heartbeats().targets.insert(target.clone(), watched);
        let gone = target.clone();
        main.then_unwaited(endpoint.disconnected(&target), move |endpoint, main, ()| {
            if endpoint.heartbeats().targets.get(&gone).is_some_and(|watched| watched.since == since) {
                endpoint.heartbeats().forget(&gone);
                endpoint.unreachable(main, gone, Unreachable::Disconnected);
            }
        });
        beat(endpoint, main, target, since);
    }

    /// A sign of life came from the target itself, such as a call that it made.
    pub fn seen(&mut self, target: &K) {
        if let Some(watched) = self.targets.get_mut(target) {
            (watched.seen, watched.failures) = (Instant::now(), 0);
        }
    }

    /// Watches a target no longer.
    pub fn forget(&mut self, target: &K) {
        self.targets.remove(target);
    }

    /// Who is watched.
    pub fn targets(&self) -> impl Iterator<Item = &K> {
        self.targets.keys()
    }

    /// Notes the result of a heartbeat; why the target is unreachable now, if it is.
    fn note(&mut self, target: &K, since: Instant, result: Result<(), RpcError>) -> Option<Unreachable> {
        let config = self.config;
        let watched = self.targets.get_mut(target).filter(|watched| watched.since == since)?;
        match result {
            Ok(()) => {
                (watched.seen, watched.failures) = (Instant::now(), 0);
                None
            }
            Err(error) => {
                watched.failures += 1;
                let silence = watched.seen.elapsed();
                if silence >= config.timeout {
                    Some(Unreachable::Silent(silence))
                } else {
                    (watched.failures >= config.failures).then_some(Unreachable::Failing(error))
                }
            }
        }
    }
}

/// Sends one heartbeat and plans the next one.
fn beat<E: HeartbeatListener<K>, K: HeartbeatTarget>(
    endpoint: &mut E,
    main: &mut MainThread<E>,
    target: K,
    since: Instant,
) {
    let manager = endpoint.heartbeats();
    let config = manager.config;
    let Some(watched) = manager.targets.get(&target).filter(|watched| watched.since == since) else { return };
    let left = config.timeout.saturating_sub(watched.seen.elapsed());
    let call = endpoint.heartbeat(&target);
    // The call may wait until the target would be unreachable anyway; a sign of life that it gives itself extends that.
    let result = async move {
        let late = |_| Err(RpcError::Deadline { method: "heartbeat".to_owned(), within: left });
        tokio::time::timeout(left, call).await.unwrap_or_else(late)
    };
    main.then_unwaited(result, move |endpoint, main, result| {
        if let Some(reason) = endpoint.heartbeats().note(&target, since, result) {
            endpoint.heartbeats().forget(&target);
            return endpoint.unreachable(main, target, reason);
        }
        main.schedule(config.interval, move |endpoint, main| beat(endpoint, main, target, since));
    });
}
