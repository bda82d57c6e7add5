//! Registering with somebody who may not be there yet, and again whenever he was gone. (Flink: `RetryingRegistration`,
//! `RegisteredRpcConnection`.)

use std::{convert::Infallible, time::Duration};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::sleep;

use crate::RpcError;

/// How long to wait before each further attempt: doubling from the first wait to the longest, minus up to a quarter by
/// chance, so that many who were cut off together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt: 100 ms.
    pub first: Duration,
    /// Never more than this: 5 s.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(5) }
    }
}

impl Backoff {
    /// The wait after so many failed attempts (the first one is 1), with `chance` out of 255.
    fn wait(&self, failures: u32, chance: u8) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let full = doubled.min(self.longest);
        full - full / 4 * u32::from(chance) / 255
    }
}

/// What a failed attempt means for the next one.
pub trait Retryable {
    /// Whether another attempt can succeed although nobody corrects anything.
    fn retryable(&self) -> bool;
}

impl Retryable for RpcError {
    fn retryable(&self) -> bool {
        Self::retryable(self)
    }
}

/// Tries to register until it works or is refused for good.
///
/// ```
/// use dora_rpc::{RetryingRegistration, RpcError};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let mut attempts = 0;
/// let registered = RetryingRegistration::default().run(|| {
///     attempts += 1;
///     let there = attempts == 3;
///     async move { if there { Ok("slot 1") } else { Err(RpcError::UnknownEndpoint { name: "resources".to_owned() }) } }
/// });
/// assert_eq!(registered.await, Ok("slot 1"));
/// assert_eq!(attempts, 3);
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RetryingRegistration {
    /// The waits between attempts.
    pub backoff: Backoff,
}

impl RetryingRegistration {
    /// Makes attempts until one succeeds.
    ///
    /// # Errors
    /// The first error that is not [retryable](Retryable::retryable).
    pub async fn run<T, E: Retryable, F: Future<Output = Result<T, E>>>(
        self,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, E> {
        let mut failures = 0_u32;
        loop {
            match attempt().await {
                Err(error) if error.retryable() => {
                    failures = failures.saturating_add(1);
                    sleep(self.backoff.wait(failures, chance())).await;
                }
                decided => return decided,
            }
        }
    }

    /// Keeps being registered: makes attempts until one succeeds, gives what it got to `until_lost`, and begins anew when
    /// that returns: when the gateway is closed, say.
    ///
    /// # Errors
    /// The first error that is not [retryable](Retryable::retryable); it never returns otherwise.
    pub async fn keep<T, E: Retryable, F: Future<Output = Result<T, E>>, L: Future>(
        self,
        mut attempt: impl FnMut() -> F,
        mut until_lost: impl FnMut(T) -> L,
    ) -> Result<Infallible, E> {
        loop {
            let registration = self.run(&mut attempt).await?;
            until_lost(registration).await;
        }
    }
}

/// A number by chance. Where the system has none to give, the waits are merely not spread.
fn chance() -> u8 {
    let mut number = [0];
    let _ = SystemRandom::new().fill(&mut number);
    number[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_double_up_to_the_longest(failures in 1_u32..100, chance: u8) {
            let backoff = Backoff::default();
            let wait = backoff.wait(failures, chance);
            let full = backoff.wait(failures, 0);
            prop_assert!(wait <= full && wait >= full / 4 * 3 && full <= backoff.longest);
            prop_assert!(backoff.wait(failures + 1, 0) == (full * 2).min(backoff.longest));
        }
    }
}
