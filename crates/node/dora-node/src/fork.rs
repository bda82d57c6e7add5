//! What a node that forks leaves to its child: the samples that it holds, and nothing else.
//!
//! Rings, holders and bells are not mapped in a forked child, so the child must neither send nor receive nor release.
//! A handler of `pthread_atfork` marks the child; calls of the API look at the mark, and whatever would touch shared
//! memory when dropped is [`ProcessBound`], which a child forgets instead.
#![allow(unsafe_code)]

use std::{
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

static IN_CHILD: AtomicBool = AtomicBool::new(false);

/// The process is a fork of a node and is no node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process was forked from a node of a dataflow and is no node itself. What the node had received stays \
     readable; use the node in the process that made it, or start workers before the node is initialised"
)]
pub struct Forked;

/// Makes forks known from now on.
pub(crate) fn watch() {
    static REGISTERED: Once = Once::new();
    extern "C" fn in_child() {
        IN_CHILD.store(true, Relaxed);
    }
    REGISTERED.call_once(|| {
        // SAFETY: the handler only stores to an atomic, which is allowed between fork and whatever follows. It lies in
        // this library, whose code stays mapped: nothing unloads a library that has threads.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// An error in a forked child.
#[inline]
pub(crate) fn check() -> Result<(), Forked> {
    if IN_CHILD.load(Relaxed) { Err(Forked) } else { Ok(()) }
}

/// A value whose destructor must not run in a forked child.
#[derive(Debug)]
pub(crate) struct ProcessBound<T>(ManuallyDrop<T>);

impl<T> ProcessBound<T> {
    pub(crate) fn new(value: T) -> Self {
        ProcessBound(ManuallyDrop::new(value))
    }

    /// The value itself.
    pub(crate) fn into_inner(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, so the value is taken once.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<T> Deref for ProcessBound<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for ProcessBound<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for ProcessBound<T> {
    fn drop(&mut self) {
        if check().is_ok() {
            // SAFETY: the value is alive until here and not used after.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}
