//! Unnamed memory: memfds whose size is sealed, and mappings of them.
//!
//! Nothing here has a name on a file system, so nothing can be left behind: the kernel frees the pages with the last
//! descriptor and mapping.
#![allow(unsafe_code)]

use std::{
    ffi::c_void,
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    ptr::NonNull,
};

use rustix::{
    fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fstat, ftruncate, memfd_create},
    mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap},
};

use super::fork::process_id;

/// Size of a page. x86_64 and the usual arm64 kernels; a larger page only wastes a little.
pub const PAGE: u64 = 4096;

/// The next multiple of [`PAGE`].
pub const fn page_up(len: u64) -> u64 {
    (len + PAGE - 1) & !(PAGE - 1)
}

/// Creates sparse memory of `len` bytes. Its size can never change afterwards, so no mapping can be cut short.
pub fn memfd(name: &str, len: u64) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&fd, len)?;
    fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(fd)
}

/// A memfd with this content, for values that are too long for a packet.
pub fn memfd_with(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let fd = memfd(name, content.len() as u64)?;
    let file = File::from(fd);
    file.write_all_at(content, 0)?;
    Ok(file.into())
}

/// The first `len` bytes of a memfd from [`memfd_with`]. Refuses more than `limit`.
pub fn read_memfd(fd: OwnedFd, len: u64, limit: u64) -> io::Result<Vec<u8>> {
    if len > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{len} bytes, more than the limit of {limit}")));
    }
    let mut content = vec![0; len as usize];
    File::from(fd).read_exact_at(&mut content, 0)?;
    Ok(content)
}

/// The same memory through a descriptor that cannot be mapped writable.
pub fn reopen_read_only(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(File::open(format!("/proc/self/fd/{}", fd.as_raw_fd()))?.into())
}

/// Makes pages present. A full machine is an error here, not a SIGBUS at a later store; nothing is kept then.
pub fn allocate(fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    // In pieces: a signal makes the kernel undo a whole call, and with frequent ones a long call would never end.
    const PIECE: u64 = 4 << 20;
    let end = offset + len;
    for at in (offset..end).step_by(PIECE as usize) {
        let piece = PIECE.min(end - at);
        rustix::io::retry_on_intr(|| fallocate(fd, FallocateFlags::empty(), at, piece)).inspect_err(|_| {
            let _ = give_back(fd, offset, at - offset);
        })?;
    }
    Ok(())
}

/// Gives pages back to the system; they read as zero afterwards.
pub fn give_back(fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::io::retry_on_intr(|| fallocate(fd, punch, offset, len)).map_err(Into::into)
}

/// Bytes of memory that a memfd really occupies.
pub fn allocated(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(fstat(fd)?.st_blocks as u64 * 512)
}

/// What a forked child sees of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFork {
    /// The mapping: a sample stays readable in the child as long as the parent holds it.
    Inherit,
    /// Nothing: the child must not take part in the protocol.
    Omit,
}

/// What the mapping allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Loads.
    Read,
    /// Loads and stores.
    Write,
}

/// A shared mapping of a memfd, unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
    /// The only process in which it exists; `None` where forked children have it too.
    only_in: Option<u32>,
}

// SAFETY: a mapping is plain memory; what lies in it is reached through atomics or under the rules of the holders.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes.
    pub fn new(fd: impl AsFd, len: usize, access: Access, on_fork: OnFork) -> io::Result<Mapping> {
        let len = page_up(len as u64) as usize;
        if (fstat(&fd)?.st_size as u64) < len as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "shared memory is smaller than announced"));
        }
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: a fresh mapping chosen by the kernel; the size is sealed and was checked, so no page of it can vanish.
        let start = unsafe {
            mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED | MapFlags::NORESERVE, fd.as_fd(), 0)?
        };
        let Some(start) = NonNull::new(start.cast::<u8>()) else {
            return Err(io::Error::other("the kernel mapped at address 0"));
        };
        let only_in = (on_fork == OnFork::Omit).then(process_id);
        let mapping = Mapping { start, len, only_in };
        mapping.advise(0, len, Advice::LinuxDontDump)?;
        if on_fork == OnFork::Omit {
            mapping.advise(0, len, Advice::LinuxDontFork)?;
        }
        Ok(mapping)
    }

    /// Whether this process has it: a forked child does not have what is mapped with [`OnFork::Omit`]. What is dropped
    /// in such a child asks first.
    #[inline]
    pub fn is_here(&self) -> bool {
        self.only_in.is_none_or(|process| process == process_id())
    }

    fn advise(&self, offset: usize, len: usize, advice: Advice) -> io::Result<()> {
        debug_assert!(offset + len <= self.len);
        // SAFETY: the range lies in our mapping and none of the advices used changes its content.
        unsafe { madvise(self.start.as_ptr().add(offset).cast::<c_void>(), len, advice)? };
        Ok(())
    }

    /// Maps pages before they are touched, so that the first message does not pay a fault per page. Best effort.
    pub fn populate(&self, offset: usize, len: usize) {
        if offset.checked_add(len).is_some_and(|end| end <= self.len) {
            let _ = self.advise(offset, len, Advice::LinuxPopulateWrite);
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty (it never is: a mapping of no bytes is refused by the kernel).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Address of a byte.
    ///
    /// # Panics
    /// If `offset` is beyond the end; offsets are computed by this crate or checked before.
    pub fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.len, "offset {offset} beyond a mapping of {} bytes", self.len);
        // SAFETY: checked above to be inside the mapping or one past its end.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// An array of `T` at an offset.
    ///
    /// # Safety
    /// Any bit pattern is a valid `T`, and `T` consists of atomics only (others write to it).
    ///
    /// # Panics
    /// If it does not fit or is not aligned; both are fixed by the layouts of this crate.
    pub unsafe fn slice_of<T>(&self, offset: usize, count: usize) -> &[T] {
        let end = count.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(offset));
        assert!(end.is_some_and(|end| end <= self.len) && offset.is_multiple_of(align_of::<T>()));
        // SAFETY: in bounds and aligned (checked; mappings are page-aligned); validity is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset).cast::<T>(), count) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !self.is_here() {
            return; // something else of this forked child may lie there
        }
        // SAFETY: our own mapping; references into it borrow from self and are gone.
        let _ = unsafe { munmap(self.start.as_ptr().cast::<c_void>(), self.len) };
    }
}
