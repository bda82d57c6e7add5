//! Leadership as a number: who leads now, and how a former leader is refused. (Flink: `FencedRpcEndpoint`.)

use std::fmt;

use serde::{Deserialize, Serialize};

/// One leadership: an epoch that only rises, and a nonce that tells two leaders of one epoch apart.
///
/// The epoch comes from the store and rises with each start of a coordinator. An endpoint that was started with a token
/// (`RpcService::start_fenced_server`) is reached only by who names the same one, and ends with the leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FencingToken {
    /// Rises with each leader.
    pub epoch: u64,
    /// Differs between two that believe to lead in the same epoch.
    pub nonce: u64,
}

impl fmt::Display for FencingToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "epoch {} ({:016x})", self.epoch, self.nonce)
    }
}

/// What a follower remembers: the highest leader it has served. Commands of a lower one are refused.
///
/// ```
/// use dora_rpc::{EpochGuard, FencingToken};
///
/// let mut guard = EpochGuard::default();
/// guard.admit(FencingToken { epoch: 2, nonce: 7 })?;
/// assert!(guard.admit(FencingToken { epoch: 1, nonce: 9 }).is_err());
/// # Ok::<(), dora_rpc::StaleLeader>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct EpochGuard {
    highest: Option<FencingToken>,
}

/// A leader whose time is over, or one of two that claim the same epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("leader of {stale} is not served: {current} leads")]
pub struct StaleLeader {
    /// The leader that was refused.
    pub stale: FencingToken,
    /// The leader that is served.
    pub current: FencingToken,
}

impl EpochGuard {
    /// Serves a leader of a higher epoch from now on, or the same leader again.
    ///
    /// # Errors
    /// [`StaleLeader`] for a lower epoch, and for another leader of the same epoch: the first one keeps it.
    pub fn admit(&mut self, leader: FencingToken) -> Result<(), StaleLeader> {
        match self.highest {
            Some(current) if leader != current && leader.epoch <= current.epoch => {
                Err(StaleLeader { stale: leader, current })
            }
            _ => {
                self.highest = Some(leader);
                Ok(())
            }
        }
    }

    /// The leader that is served.
    pub fn leader(&self) -> Option<FencingToken> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_epoch_never_falls(leaders in proptest::collection::vec((0_u64..5, 0_u64..3), 0..30)) {
            let mut guard = EpochGuard::default();
            for (epoch, nonce) in leaders {
                let before = guard.leader();
                let leader = FencingToken { epoch, nonce };
                let admitted = guard.admit(leader).is_ok();
                prop_assert_eq!(admitted, before.is_none_or(|before| leader == before || epoch > before.epoch));
                prop_assert_eq!(guard.leader(), if admitted { Some(leader) } else { before });
            }
        }
    }
}
