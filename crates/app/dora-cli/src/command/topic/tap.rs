//! Looking at messages until enough were seen, or the time is over.

use std::{ops::ControlFlow, time::Duration};

use dora_gateways::{DataflowId, DataflowSelector, DispatcherError, DispatcherGateway, TapQuery, TappedMessage};
use dora_rpc::Streamed;
use tokio::time::Instant;

/// Gives each message to `take` until that breaks, the time is over, or the dataflow ends.
///
/// The gateway's calls must not have a deadline.
pub(super) async fn follow(
    dispatcher: &impl DispatcherGateway,
    dataflow: DataflowId,
    query: TapQuery,
    time: Option<Duration>,
    mut take: impl FnMut(TappedMessage) -> ControlFlow<()>,
) -> Result<(), DispatcherError> {
    let mut messages = dispatcher.tap(DataflowSelector::Id(dataflow), query).await?;
    let end = time.and_then(|time| Instant::now().checked_add(time));
    loop {
        let next = match end {
            None => messages.next().await,
            Some(end) => match tokio::time::timeout_at(end, messages.next()).await {
                Ok(next) => next,
                Err(_) => return Ok(()),
            },
        };
        match next? {
            None => return Ok(()),
            Some(Streamed::Item(message)) => {
                if take(message).is_break() {
                    return Ok(());
                }
            }
            // What was too much for the connection was not seen, like what was too much for the tap.
            Some(Streamed::Dropped(_)) => {}
        }
    }
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

    /// A dispatcher that sends three messages, and then keeps silent.
    async fn three() -> (dora_rpc::RpcService, dora_rpc::Gateway<DispatcherCall>) {
        let mut open = Vec::new();
        scripted::dispatcher(move |call| match call {
            DispatcherCall::Tap { reply, .. } => {
                let (sender, messages) = dora_rpc::stream(8);
                (1..=3).for_each(|number| sender.push(message(number)).expect("a reader"));
                open.push(sender);
                reply.ok(messages);
            }
            other => panic!("not in the script: {other:?}"),
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_time_or_when_enough_was_seen() {
        let (_service, dispatcher) = three().await;
        let dataflow = DataflowId(uuid::Uuid::nil());
        for (enough, time, expected) in [(2, None, 2), (9, Some(Duration::from_secs(5)), 3)] {
            let mut seen = 0;
            let take = |_| {
                seen += 1;
                if seen == enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            follow(&dispatcher, dataflow, TapQuery::default(), time, take).await.expect("messages");
            assert_eq!(seen, expected);
        }
    }
}
