//! Two ways to wake a blocked process.

use rustix::io::{read, retry_on_intr, write};
use rustix::thread::futex;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// One direction of a pair: one side rings, the other waits.
pub enum Bell {
    /// A word in shared memory and the number of rings heard.
    Futex { word: &'static AtomicU32, heard: u32 },
    /// A counter in the kernel.
    Eventfd(OwnedFd),
}

impl Bell {
    /// Over a word of shared memory.
    pub fn futex(word: &'static AtomicU32) -> Self {
        Self::Futex { word, heard: 0 }
    }

    /// Wakes the other side.
    pub fn ring(&self) -> std::io::Result<()> {
        match self {
            Self::Futex { word, .. } => {
                word.fetch_add(1, SeqCst);
                futex::wake(word, futex::Flags::empty(), 1)?;
            }
            Self::Eventfd(fd) => {
                write(fd, &1u64.to_ne_bytes())?;
            }
        }
        Ok(())
    }

    /// Blocks until the other side has rung once more.
    pub fn wait(&mut self) -> std::io::Result<()> {
        match self {
            Self::Futex { word, heard } => {
                while word.load(SeqCst) == *heard {
                    // Ends early when the word moved meanwhile or a signal came: the loop looks again.
                    let _ = futex::wait(word, futex::Flags::empty(), *heard, None);
                }
                *heard = heard.wrapping_add(1);
            }
            Self::Eventfd(fd) => {
                retry_on_intr(|| read(&*fd, &mut [0u8; 8]))?;
            }
        }
        Ok(())
    }
}
