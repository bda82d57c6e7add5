//! Random numbers of the system, without chance: the order in which tokio looks at the branches of a `select!` and wakes
//! who waits, and that in which hash maps are walked, begin with what the system calls random. Here every thread is given
//! the same numbers in the same order, so that one seed is one history.

#![expect(unsafe_code, reason = "a function of the C library is replaced in this test program")]

use std::cell::Cell;

thread_local! {
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// Stands in for the C library's function: fills all of the buffer.
///
/// # Safety
/// As for the original: `buffer` is valid for writes of `length` bytes.
// SAFETY: nothing else in this program defines the symbol, and this has the signature and meaning of the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    for index in 0..length {
        let byte = NEXT.with(|next| {
            next.set(next.get() + 1);
            fastrand::Rng::with_seed(next.get()).u8(..)
        });
        // SAFETY: `index` is below `length`, for which the caller vouches.
        unsafe { buffer.add(index).write(byte) };
    }
    length as isize
}
