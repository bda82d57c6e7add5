//! The main thread of an endpoint: what comes back to its state, and when. (Flink: `MainThreadExecutor`.)
//!
//! It is a task, not a thread of the system. Work that waits runs beside it; what follows from the work runs on it.

use std::{fmt, pin::Pin, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use crate::{Message, Reply, Request, RpcEndpoint, RpcError};

/// Something that runs on the main thread.
pub(crate) type Then<E> = Box<dyn FnOnce(&mut E, &mut MainThread<E>) + Send>;

/// The main thread as the endpoint sees it from inside its methods.
pub struct MainThread<E: RpcEndpoint> {
    /// Waited for when the endpoint stops.
    pub(crate) work: JoinSet<Then<E>>,
    /// Dropped when the endpoint stops.
    pub(crate) timers: JoinSet<Then<E>>,
    executor: MainThreadExecutor<E>,
    stop: watch::Sender<bool>,
    blocks_in_place: Option<Duration>,
}

/// Work beside the main thread, and what follows from it there.
type Work<E> = Pin<Box<dyn Future<Output = Then<E>> + Send>>;

/// A main thread, and the actions that come to it from outside.
pub(crate) fn bind<E: RpcEndpoint>(
    capacity: usize,
    stop: watch::Sender<bool>,
    blocks_in_place: Option<Duration>,
) -> (MainThread<E>, mpsc::Receiver<Then<E>>) {
    let (actions, queue) = mpsc::channel(capacity);
    let executor = MainThreadExecutor { actions };
    (MainThread { work: JoinSet::new(), timers: JoinSet::new(), executor, stop, blocks_in_place }, queue)
}

impl<E: RpcEndpoint> MainThread<E> {
    /// Runs `work` beside the endpoint, and `next` with its result on the main thread.
    pub fn then<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
        next: impl FnOnce(&mut E, &mut Self, T) + Send + 'static,
    ) {
        self.work.spawn(resumed(work, next));
    }

    /// Like [`then`](Self::then), but a stop does not wait for the work.
    pub(crate) fn then_unwaited<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
        next: impl FnOnce(&mut E, &mut Self, T) + Send + 'static,
    ) {
        self.timers.spawn(resumed(work, next));
    }

    /// Answers a call with what `work` gives. The work is dropped as soon as nobody waits for it any longer.
    pub fn reply<T, F>(&mut self, mut reply: Reply<T, F>, work: impl Future<Output = Result<T, F>> + Send + 'static)
    where
        T: Message,
        F: Message + From<RpcError>,
    {
        let answer = async move {
            let result = tokio::select! {
                result = work => Some(result),
                () = reply.abandoned() => None,
            };
            if let Some(result) = result {
                reply.send(result);
            }
        };
        self.then(answer, |_, _, ()| {});
    }

    /// Runs `work`, which blocks, on a thread for such work, and `next` with its result on the main thread.
    pub fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        next: impl FnOnce(&mut E, &mut Self, T) + Send + 'static,
    ) {
        if let Some(time) = self.blocks_in_place {
            let work = async move {
                sleep(time).await;
                let value = work();
                sleep(time).await;
                value
            };
            return self.then(work, next);
        }
        self.work.spawn_blocking(move || {
            let value = work();
            Box::new(move |endpoint: &mut E, main: &mut Self| next(endpoint, main, value)) as Then<E>
        });
    }

    /// Runs `action` on the main thread after some time, unless the endpoint stops before.
    pub fn schedule(&mut self, after: Duration, action: impl FnOnce(&mut E, &mut Self) + Send + 'static) -> Scheduled {
        let handle = self.timers.spawn(resumed(sleep(after), |endpoint, main, ()| action(endpoint, main)));
        Scheduled { handle }
    }

    /// For running something on this main thread from outside of the endpoint.
    pub fn executor(&self) -> MainThreadExecutor<E> {
        self.executor.clone()
    }

    /// Stops the endpoint, as from outside.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Boxed, so that the machinery of a task is compiled once per endpoint and not once per call: it is larger than most calls.
fn resumed<E: RpcEndpoint, T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
    next: impl FnOnce(&mut E, &mut MainThread<E>, T) + Send + 'static,
) -> Work<E> {
    Box::pin(async move {
        let value = work.await;
        Box::new(move |endpoint: &mut E, main: &mut MainThread<E>| next(endpoint, main, value)) as Then<E>
    })
}

/// An action that will run later.
#[derive(Debug)]
pub struct Scheduled {
    handle: AbortHandle,
}

impl Scheduled {
    /// The action does not run, unless it already has.
    pub fn cancel(self) {
        self.handle.abort();
    }
}

/// Brings actions to the main thread of an endpoint from anywhere in the process.
pub struct MainThreadExecutor<E: RpcEndpoint> {
    actions: mpsc::Sender<Then<E>>,
}

impl<E: RpcEndpoint> MainThreadExecutor<E> {
    /// Runs an action on the main thread, without waiting for it to run.
    ///
    /// # Errors
    /// [`RpcError::Stopped`] if the endpoint has ended.
    pub async fn run_async(
        &self,
        action: impl FnOnce(&mut E, &mut MainThread<E>) + Send + 'static,
    ) -> Result<(), RpcError> {
        self.actions.send(Box::new(action)).await.map_err(|_| stopped::<E>())
    }

    /// Runs an action on the main thread; what it returned.
    ///
    /// # Errors
    /// [`RpcError::Stopped`] if the endpoint ended before the action ran.
    pub async fn call<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut E, &mut MainThread<E>) -> T + Send + 'static,
    ) -> Result<T, RpcError> {
        let (sender, result) = oneshot::channel();
        self.run_async(move |endpoint, main| {
            let _ = sender.send(action(endpoint, main));
        })
        .await?;
        result.await.map_err(|_| stopped::<E>())
    }
}

fn stopped<E: RpcEndpoint>() -> RpcError {
    RpcError::Stopped { endpoint: E::Call::GATEWAY.to_owned() }
}

impl<E: RpcEndpoint> Clone for MainThreadExecutor<E> {
    fn clone(&self) -> Self {
        Self { actions: self.actions.clone() }
    }
}

impl<E: RpcEndpoint> fmt::Debug for MainThreadExecutor<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MainThreadExecutor").finish_non_exhaustive()
    }
}

impl<E: RpcEndpoint> fmt::Debug for MainThread<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MainThread").field("work", &self.work.len()).finish_non_exhaustive()
    }
}
