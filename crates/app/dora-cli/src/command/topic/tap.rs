//! Messages as they are sent, until the time is over or the dataflow ends.

use std::time::Duration;

use dora_gateways::{DataflowId, DataflowSelector, DispatcherError, DispatcherGateway, TapQuery, TappedMessage};
use dora_rpc::{RpcStream, Streamed};
use tokio::time::{Instant, timeout_at};

/// Messages of a dataflow that runs.
pub(super) struct Tap {
    messages: RpcStream<TappedMessage>,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Message(TappedMessage),
    /// This moment came before any message.
    Time,
    /// The dataflow has ended.
    End,
}

impl Tap {
    pub(super) async fn open(
        dispatcher: &impl DispatcherGateway,
        dataflow: DataflowId,
        query: TapQuery,
    ) -> Result<Self, DispatcherError> {
        let messages = dispatcher.tap(DataflowSelector::Id(dataflow), query).await?;
        Ok(Self { messages })
    }

    /// The next message, if one comes before `until`.
    pub(super) async fn next(&mut self, until: Option<Instant>) -> Result<Next, DispatcherError> {
        loop {
            // Messages that come without a pause must not hide that it is time.
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Next::Time);
            }
            let next = match until {
                None => self.messages.next().await,
                Some(until) => match timeout_at(until, self.messages.next()).await {
                    Ok(next) => next,
                    Err(_) => return Ok(Next::Time),
                },
            };
            match next? {
                Some(Streamed::Item(message)) => return Ok(Next::Message(message)),
                // What was too much for the connection was not seen, like what was too much for the tap.
                Some(Streamed::Dropped(_)) => {}
                None => return Ok(Next::End),
            }
        }
    }
}

/// The moment after this time; none without a time.
pub(super) fn after(time: Option<Duration>) -> Option<Instant> {
    time.and_then(|time| Instant::now().checked_add(time))
}

#[cfg(test)]
pub(super) mod tests {
    use dora_gateways::{DispatcherCall, OutputId};

    use super::*;
    use crate::scripted;

    /// A message of `camera/image`, sent in this millisecond.
    pub(in super::super) fn message(millisecond: u64) -> TappedMessage {
        TappedMessage {
            from: OutputId { node: "camera".into(), output: "image".into() },
            time_ns: millisecond * 1_000_000,
            len: 1000,
            message: None,
            missed: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tap_ends_with_the_time_or_the_dataflow() {
        let mut open = Vec::new();
        let (_service, dispatcher) = scripted::dispatcher(move |call| match call {
            DispatcherCall::Tap { query, reply, .. } => {
                let (sender, messages) = dora_rpc::stream(8);
                sender.push(message(1)).expect("a reader");
                // With payload it stays open.
                open.extend(query.payload.then_some(sender));
                reply.ok(messages);
            }
            other => panic!("not in the script: {other:?}"),
        })
        .await;
        for (payload, last) in [(true, Next::Time), (false, Next::End)] {
            let query = TapQuery { payload, ..TapQuery::default() };
            let mut tap = Tap::open(&dispatcher, DataflowId(uuid::Uuid::nil()), query).await.expect("a stream");
            let until = after(Some(Duration::from_secs(5)));
            assert_eq!(tap.next(until).await, Ok(Next::Message(message(1))));
            assert_eq!(tap.next(until).await, Ok(last));
        }
    }
}
