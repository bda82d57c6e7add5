//! Endpoints: state that only one task reaches.

use std::{fmt, panic, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinError,
    time::timeout,
};

use crate::{
    Gateway, MainThread, MainThreadExecutor, Request, RpcError,
    main_thread::{Then, bind},
};

/// A component with state and one main thread (Flink: `RpcEndpoint`).
///
/// Its methods run one at a time, on the endpoint's own task, and are not `async`: no call can interleave with another
/// one, so state needs no locks. What takes time is handed to the [`MainThread`], which comes back with the result.
pub trait RpcEndpoint: Sized + Send + 'static {
    /// The calls that it serves, as [`gateway!`](crate::gateway!) made them.
    type Call: Request;

    /// Runs before the first call.
    fn on_start(&mut self, main: &mut MainThread<Self>) {
        let _ = main;
    }

    /// Serves one call: now, by answering its reply, or later, by keeping the reply or handing it to the main thread.
    fn handle(&mut self, main: &mut MainThread<Self>, call: Self::Call);

    /// Runs when the endpoint is asked to stop. Work that it hands out here is still waited for.
    fn on_stop(&mut self, main: &mut MainThread<Self>) {
        let _ = main;
    }
}

/// Where an endpoint is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LifeCycle {
    /// Made, not running yet.
    Created,
    /// It serves calls.
    Started,
    /// It was asked to stop. It serves calls as long as work that it began is under way.
    Terminating,
    /// It has ended. Calls fail with [`RpcError::Stopped`].
    Terminated,
    /// It has panicked. It is not started again: its process is expected to end.
    Failed,
}

/// A running endpoint, for who started it. The endpoint belongs to its service: it runs on when this is dropped.
pub struct Server<E: RpcEndpoint> {
    pub(crate) gateway: Gateway<E::Call>,
    pub(crate) executor: MainThreadExecutor<E>,
    pub(crate) control: Control,
}

impl<E: RpcEndpoint> Server<E> {
    /// The endpoint for callers in this process, also where the service serialises everything.
    pub fn gateway(&self) -> Gateway<E::Call> {
        self.gateway.clone()
    }

    /// For running something on the main thread from outside.
    pub fn executor(&self) -> MainThreadExecutor<E> {
        self.executor.clone()
    }

    /// Where it is in its life.
    pub fn life_cycle(&self) -> LifeCycle {
        self.control.life()
    }

    /// Asks the endpoint to stop, and waits until it has ended.
    pub async fn stop(&self) {
        self.control.stop().await;
    }

    /// Completes when the endpoint has ended, for whatever reason; how.
    pub async fn ended(&self) -> LifeCycle {
        self.control.ended().await
    }
}

impl<E: RpcEndpoint> fmt::Debug for Server<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("gateway", &self.gateway).field("life", &self.life_cycle()).finish()
    }
}

/// The life of an endpoint, without its type.
#[derive(Clone)]
pub(crate) struct Control {
    stop: watch::Sender<bool>,
    life: watch::Receiver<LifeCycle>,
}

impl Control {
    pub(crate) fn life(&self) -> LifeCycle {
        *self.life.borrow()
    }

    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        self.ended().await;
    }

    pub(crate) async fn ended(&self) -> LifeCycle {
        let mut life = self.life.clone();
        life.wait_for(|life| *life >= LifeCycle::Terminated).await.map_or(LifeCycle::Terminated, |life| *life)
    }
}

/// What a new endpoint is given.
pub(crate) struct Start<E: RpcEndpoint> {
    pub endpoint: E,
    pub calls: mpsc::Receiver<E::Call>,
    pub capacity: usize,
    /// How long work that is under way is waited for when it stops.
    pub grace: Duration,
    /// Work that blocks is done by the thread that runs the endpoint, and takes so long before and after.
    pub blocks_in_place: Option<Duration>,
}

impl<E: RpcEndpoint> Start<E> {
    /// Runs the endpoint in a task of its own. `failed` is told if it panics.
    pub(crate) fn spawn(self, failed: impl FnOnce(String) + Send + 'static) -> (MainThreadExecutor<E>, Control) {
        let (life, observed) = watch::channel(LifeCycle::Created);
        let stop = watch::Sender::new(false);
        let (main, actions) = bind(self.capacity, stop.clone(), self.blocks_in_place);
        let executor = main.executor();
        let mut stopping = stop.subscribe();
        let mut runner = Runner { endpoint: self.endpoint, main, calls: self.calls, actions };
        let grace = self.grace;
        tokio::spawn(async move {
            let progress = life.clone();
            let run = tokio::spawn(async move { runner.run(&mut stopping, grace, &progress).await });
            let end = match run.await.map_err(JoinError::try_into_panic) {
                Err(Ok(panic)) => {
                    failed(panic_message(&*panic));
                    LifeCycle::Failed
                }
                _ => LifeCycle::Terminated,
            };
            life.send_replace(end);
        });
        (executor, Control { stop, life: observed })
    }
}

struct Runner<E: RpcEndpoint> {
    endpoint: E,
    main: MainThread<E>,
    calls: mpsc::Receiver<E::Call>,
    actions: mpsc::Receiver<Then<E>>,
}

impl<E: RpcEndpoint> Runner<E> {
    async fn run(&mut self, stopping: &mut watch::Receiver<bool>, grace: Duration, life: &watch::Sender<LifeCycle>) {
        life.send_replace(LifeCycle::Started);
        self.endpoint.on_start(&mut self.main);
        loop {
            tokio::select! {
                () = self.step() => {}
                _ = stopping.wait_for(|stop| *stop) => break,
            }
        }
        life.send_replace(LifeCycle::Terminating);
        self.main.timers.abort_all();
        self.endpoint.on_stop(&mut self.main);
        let finish = async {
            while !self.main.work.is_empty() {
                self.step().await;
            }
        };
        if timeout(grace, finish).await.is_err() {
            tracing::warn!(gateway = E::Call::GATEWAY, "work that was under way is given up: the grace is over");
        }
        self.calls.close();
        while let Some(call) = self.calls.recv().await {
            call.refuse(RpcError::Stopped { endpoint: E::Call::GATEWAY.to_owned() });
        }
    }

    /// Waits for the next thing that happens and does it. Nothing is lost when the wait is given up.
    async fn step(&mut self) {
        tokio::select! {
            Some(call) = self.calls.recv() => {
                if !call.is_abandoned() {
                    self.endpoint.handle(&mut self.main, call);
                }
            }
            Some(action) = self.actions.recv() => action(&mut self.endpoint, &mut self.main),
            Some(done) = self.main.work.join_next() => self.resume(done),
            Some(due) = self.main.timers.join_next() => self.resume(due),
        }
    }

    fn resume(&mut self, done: Result<Then<E>, JoinError>) {
        match done.map_err(JoinError::try_into_panic) {
            Ok(then) => then(&mut self.endpoint, &mut self.main),
            // Work that panicked was the endpoint's own: it fails with it.
            Err(Ok(panic)) => panic::resume_unwind(panic),
            Err(Err(_cancelled)) => {}
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
