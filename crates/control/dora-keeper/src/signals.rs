//! Signals as something to read: a child has ended, or somebody asks the keeper to end.
//!
//! Signals are blocked and taken from a descriptor, so no code of ours runs inside a handler.
#![allow(unsafe_code)]

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
};

const WATCHED: [libc::c_int; 4] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// The signals of this process, blocked since [`Signals::new`].
#[derive(Debug)]
pub(crate) struct Signals {
    fd: OwnedFd,
}

/// What was signalled since the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Children have ended.
    pub(crate) child: bool,
    /// Somebody wants the keeper to end.
    pub(crate) terminate: bool,
}

impl Signals {
    /// Blocks the signals for this thread, which must be the only one.
    pub(crate) fn new() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set before anything reads it; the pointers are valid for each call.
        let fd = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in WATCHED {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            // A log file that must not grow is an error of the write, not the end of the keeper. Nobody reads the signal.
            let mut blocked = set;
            libc::sigaddset(blocked.as_mut_ptr(), libc::SIGXFSZ);
            if libc::sigprocmask(libc::SIG_BLOCK, blocked.as_ptr(), std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        Ok(Signals { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }
    /// For the poller.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
    /// Takes everything that is pending.
    pub(crate) fn take(&self) -> Pending {
        const RECORD: usize = size_of::<libc::signalfd_siginfo>();
        let mut pending = Pending::default();
        let mut record = [0_u8; RECORD];
        while let Ok(RECORD) = rustix::io::read(&self.fd, &mut record[..]) {
            // ssi_signo is the first field of the record.
            match u32::from_ne_bytes([record[0], record[1], record[2], record[3]]) as libc::c_int {
                libc::SIGCHLD => pending.child = true,
                _ => pending.terminate = true,
            }
        }
        pending
    }
}
