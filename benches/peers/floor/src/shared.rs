//! Memory shared by the two processes of a measurement.
#![allow(unsafe_code)]

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Room for the receiver's samples.
pub const MAX_SAMPLES: usize = 1024;

/// A word on a cache line of its own.
#[repr(C, align(64))]
pub struct Word(pub AtomicU32);

/// What both processes see. All zero at the start.
#[repr(C)]
pub struct Page {
    /// Rung towards the receiver.
    pub go: Word,
    /// Rung towards the sender.
    pub back: Word,
    /// When the sender rang.
    pub stamp: AtomicU64,
    /// What the receiver measured, in nanoseconds.
    pub samples: [AtomicU64; MAX_SAMPLES],
}

/// Makes the page; the other process opens it by the path that comes with it.
pub fn create() -> std::io::Result<(&'static Page, File, String)> {
    let file = File::from(memfd_create("floor", MemfdFlags::CLOEXEC)?);
    ftruncate(&file, size_of::<Page>() as u64)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    Ok((map(&file)?, file, path))
}

/// Opens the page that another process made.
pub fn open(path: &str) -> std::io::Result<&'static Page> {
    map(&OpenOptions::new().read(true).write(true).open(path)?)
}

fn map(file: &File) -> std::io::Result<&'static Page> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel picks a free range, so no existing mapping changes.
    let start = unsafe { mmap(std::ptr::null_mut(), size_of::<Page>(), access, MapFlags::SHARED, file, 0)? };
    // SAFETY: the range is page-aligned, as long as a `Page`, zeroed (valid for atomics), and never unmapped.
    Ok(unsafe { &*start.cast::<Page>() })
}

/// Copies `source` into pages that were never touched; returns the nanoseconds of the copy alone.
pub fn copy_to_fresh_pages(source: &[u8]) -> std::io::Result<u64> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel picks a free range, so no existing mapping changes.
    let start = unsafe { mmap_anonymous(std::ptr::null_mut(), source.len(), access, MapFlags::PRIVATE)? };
    // SAFETY: the range was mapped just now with this length, is zeroed, and nobody else knows of it.
    let fresh = unsafe { std::slice::from_raw_parts_mut(start.cast::<u8>(), source.len()) };
    let before = bench_common::now_ns();
    fresh.copy_from_slice(source);
    let span = bench_common::now_ns() - before;
    // SAFETY: `fresh` is not used after this.
    unsafe { munmap(start, source.len())? };
    Ok(span)
}
