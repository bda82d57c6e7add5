//! Over which connection a message is being written or read just now.
//!
//! Gateways and streams are values in messages, but as bytes they mean something only on their connection. Serde has no
//! place for a context, so it is kept beside it, for the time that one message takes.

use std::{cell::RefCell, sync::Arc};

use super::Shared;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// Writes or reads a message of `connection`.
pub(crate) fn enter<T>(connection: &Arc<Shared>, message: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<Shared>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(Some(connection.clone())));
    message()
}

/// The connection of the message that is being written or read.
pub(crate) fn current() -> Result<Arc<Shared>, &'static str> {
    CURRENT
        .with_borrow(Option::clone)
        .ok_or("gateways and streams can be written and read only as parts of messages of a connection")
}
