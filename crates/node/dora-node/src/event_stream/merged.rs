//! Other streams beside the events of a node, received in one loop.
//!
//! ```no_run
//! # fn main() -> Result<(), dora_node::NodeError> {
//! use dora_node::{DoraNode, Event, merged::{MergeExternal, MergedEvent}};
//! use futures::{StreamExt, executor::block_on, stream};
//!
//! let (_node, events) = DoraNode::init_from_env()?;
//! let mut both = events.merge_external(stream::iter(["one", "two"]));
//! while let Some(event) = block_on(both.next()) {
//!     match event {
//!         MergedEvent::Dora(Event::Stop(_)) => break,
//!         MergedEvent::Dora(event) => println!("{event:?}"),
//!         MergedEvent::External(text) => println!("{text}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A merged stream takes from both in turn and ends when both have ended.

use futures::{Stream, StreamExt, stream::select};

use super::{Event, EventStream};

/// An event of the node, or an item of another stream.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // most are events of the node, and boxing them would cost an allocation each
pub enum MergedEvent<E> {
    /// An event of the node.
    Dora(Event),
    /// An item of the other stream.
    External(E),
}

/// One of two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first.
    First(A),
    /// The second.
    Second(B),
}

impl<A> Either<A, A> {
    /// Whichever it is.
    pub fn flatten(self) -> A {
        match self {
            Either::First(value) | Either::Second(value) => value,
        }
    }
}

/// Merging a stream into the events of a node, or into an already merged stream.
pub trait MergeExternal<'a, E> {
    /// What the merged stream gives.
    type Item;

    /// Merges both streams.
    fn merge_external(
        self,
        external_events: impl Stream<Item = E> + Unpin + 'a,
    ) -> Box<dyn Stream<Item = Self::Item> + Unpin + 'a>;
}

/// [`MergeExternal`] for streams that change threads.
pub trait MergeExternalSend<'a, E> {
    /// What the merged stream gives.
    type Item;

    /// Merges both streams.
    fn merge_external_send(
        self,
        external_events: impl Stream<Item = E> + Unpin + Send + Sync + 'a,
    ) -> Box<dyn Stream<Item = Self::Item> + Unpin + Send + Sync + 'a>;
}

impl<'a, E: 'static> MergeExternal<'a, E> for EventStream {
    type Item = MergedEvent<E>;

    fn merge_external(
        self,
        external_events: impl Stream<Item = E> + Unpin + 'a,
    ) -> Box<dyn Stream<Item = Self::Item> + Unpin + 'a> {
        Box::new(select(self.map(MergedEvent::Dora), external_events.map(MergedEvent::External)))
    }
}

impl<'a, E: 'static> MergeExternalSend<'a, E> for EventStream {
    type Item = MergedEvent<E>;

    fn merge_external_send(
        self,
        external_events: impl Stream<Item = E> + Unpin + Send + Sync + 'a,
    ) -> Box<dyn Stream<Item = Self::Item> + Unpin + Send + Sync + 'a> {
        Box::new(select(self.map(MergedEvent::Dora), external_events.map(MergedEvent::External)))
    }
}

fn first<E, F>(event: MergedEvent<E>) -> MergedEvent<Either<E, F>> {
    match event {
        MergedEvent::Dora(event) => MergedEvent::Dora(event),
        MergedEvent::External(item) => MergedEvent::External(Either::First(item)),
    }
}

fn second<E, F>(item: F) -> MergedEvent<Either<E, F>> {
    MergedEvent::External(Either::Second(item))
}

impl<'a, E: 'a, F: 'a, S> MergeExternal<'a, F> for S
where
    S: Stream<Item = MergedEvent<E>> + Unpin + 'a,
{
    type Item = MergedEvent<Either<E, F>>;

    fn merge_external(
        self,
        external_events: impl Stream<Item = F> + Unpin + 'a,
    ) -> Box<dyn Stream<Item = Self::Item> + Unpin + 'a> {
        Box::new(select(self.map(first), external_events.map(second)))
    }
}

impl<'a, E: 'a, F: 'a, S> MergeExternalSend<'a, F> for S
where
    S: Stream<Item = MergedEvent<E>> + Unpin + Send + Sync + 'a,
{
    type Item = MergedEvent<Either<E, F>>;

    fn merge_external_send(
        self,
        external_events: impl Stream<Item = F> + Unpin + Send + Sync + 'a,
    ) -> Box<dyn Stream<Item = Self::Item> + Unpin + Send + Sync + 'a> {
        Box::new(select(self.map(first), external_events.map(second)))
    }
}
