//! A bare wake-up between two processes that otherwise do something else: the floor, measured in between the messages.
//!
//! What a wake-up costs changes within a second by a factor of four, with what else runs on the host and where the
//! scheduler puts the two processes. Only two processes that do both, in turn, can tell what the messages add.
#![allow(unsafe_code)]

use crate::now_ns;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::futex;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// What both processes see. All zero at the start.
#[repr(C)]
struct Page {
    rings: AtomicU32,
    /// When it was rung last.
    rung_ns: AtomicU64,
}

/// Memory for a bell, in a file without a name. It is gone when this is dropped and nobody has it mapped.
pub struct BareMemory(File);

impl BareMemory {
    /// New memory.
    pub fn new() -> io::Result<Self> {
        let file = File::from(memfd_create("bare-bell", MemfdFlags::CLOEXEC)?);
        ftruncate(&file, size_of::<Page>() as u64)?;
        Ok(Self(file))
    }

    /// Where another process opens it, as long as this one lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// One end of a bell: one process rings, the other waits.
pub struct Bare {
    page: &'static Page,
    heard: u32,
}

impl Bare {
    /// The bell in the memory at this path.
    pub fn open(path: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel picks a free range, so no existing mapping changes.
        let start = unsafe { mmap(std::ptr::null_mut(), size_of::<Page>(), access, MapFlags::SHARED, &file, 0)? };
        // SAFETY: the range is page-aligned, as long as a `Page`, zeroed (valid for atomics), and never unmapped.
        let page: &'static Page = unsafe { &*start.cast::<Page>() };
        Ok(Self { page, heard: page.rings.load(SeqCst) })
    }

    /// Wakes the other side.
    pub fn ring(&self) -> io::Result<()> {
        self.page.rung_ns.store(now_ns(), SeqCst);
        self.page.rings.fetch_add(1, SeqCst);
        futex::wake(&self.page.rings, futex::Flags::empty(), 1)?;
        Ok(())
    }

    /// Blocks until the other side has rung: how many nanoseconds ago it began to.
    pub fn wait(&mut self) -> u64 {
        while self.page.rings.load(SeqCst) == self.heard {
            // Ends early when the word moved meanwhile or a signal came: the loop looks again.
            let _ = futex::wait(&self.page.rings, futex::Flags::empty(), self.heard, None);
        }
        self.heard = self.heard.wrapping_add(1);
        now_ns() - self.page.rung_ns.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ring_ends_one_wait() -> io::Result<()> {
        let memory = BareMemory::new()?;
        let (ringer, mut sleeper) = (Bare::open(&memory.path())?, Bare::open(&memory.path())?);
        let sleeper = std::thread::spawn(move || [sleeper.wait(), sleeper.wait()].len());
        ringer.ring()?;
        ringer.ring()?;
        assert!(matches!(sleeper.join(), Ok(2)));
        Ok(())
    }
}
