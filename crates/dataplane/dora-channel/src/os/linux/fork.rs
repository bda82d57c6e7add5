//! Which process this is, without asking the kernel each time: what is not inherited by a forked child must not be
//! touched there, and dropping a sample has to find out in a nanosecond.
#![allow(unsafe_code)]

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

use super::memory::PAGE;

/// A word that is zero again in a forked child. `None`: the kernel is older than 4.14.
fn word() -> Option<&'static AtomicU32> {
    static WORD: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    *WORD.get_or_init(|| {
        let len = PAGE as usize;
        // SAFETY: fresh private memory chosen by the kernel, never unmapped.
        let page =
            unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
        let page = page.ok()?;
        // SAFETY: the page is ours, and wiping it in a child only zeroes the word.
        unsafe { madvise(page, len, Advice::LinuxWipeOnFork).ok()? };
        // SAFETY: page-aligned, zeroed, mapped for the rest of the process, and reached through this atomic only.
        Some(unsafe { &*page.cast::<AtomicU32>() })
    })
}

/// The id of this process, also right after a fork.
///
/// ```
/// assert_eq!(dora_channel::os::fork::process_id(), std::process::id());
/// ```
#[inline]
pub fn process_id() -> u32 {
    let Some(word) = word() else { return std::process::id() };
    match word.load(Relaxed) {
        0 => {
            let id = std::process::id();
            word.store(id, Relaxed);
            id
        }
        id => id,
    }
}
