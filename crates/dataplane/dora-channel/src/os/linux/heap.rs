//! The heap of a process that lives long: what it has borrowed from the system, and can give back.
#![allow(unsafe_code)]

/// Gives the system back what the heap holds and nobody uses. Takes milliseconds if that is much, and allocations wait for
/// it.
///
/// The allocator of glibc gives back by itself only what lies above everything that is in use: one small piece that was
/// allocated last keeps all that was free below it, for ever. Allocators of other C libraries are left alone.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: may be called at any time from any thread; it touches free memory only (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    /// Resident pages that are neither shared nor of a file.
    fn resident() -> Option<usize> {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let mut pages = statm.split(' ').map(|number| number.parse::<usize>());
        let (_, resident, shared) = (pages.next()?, pages.next()?.ok()?, pages.next()?.ok()?);
        Some(resident - shared)
    }

    #[test]
    fn what_lies_below_something_in_use_is_given_back() {
        const PIECES: usize = 100_000;
        let mut pieces: Vec<_> = (0..PIECES).map(|_| vec![1_u8; 200]).collect();
        let full = resident().unwrap();
        let last = pieces.pop();
        drop(pieces);
        trim();
        let (left, pages) = (resident().unwrap(), PIECES * 200 / 4096);
        assert!(left + pages / 2 < full, "{full} pages, then {left}; {last:?}");
    }
}
