//! Asks the CPU to load what a message is about to need.
//!
//! A node that slept for a few milliseconds finds neither the code nor the data of a message's way in its caches. Met
//! one after the other, each of the hundred-odd lines costs a trip to memory, and each new page a walk through the page
//! tables; asked for together the trips overlap. Messages in chunks gain, and those that lie in their descriptor do not:
//! docs/performance.md has the figures, `cargo xtask bench --only oneway` makes them.
//!
//! A prefetch is a hint. It reads nothing, changes nothing and never faults, whatever the address.
#![allow(unsafe_code)]

const LINE: usize = 64;

/// For at most so many edges of a node: more requests than the CPU can have under way at once help nobody.
pub(crate) const EDGES: usize = 4;

/// The first `bytes` of a function. They are loaded as data: into the second-level cache and the page-table buffer,
/// which instructions share.
///
/// ```
/// fn hot() {}
/// dora_channel::prefetch::code(hot as fn() as *const (), 128);
/// ```
#[inline]
pub fn code(function: *const (), bytes: usize) {
    range(function.cast(), bytes);
}

/// A value.
///
/// ```
/// dora_channel::prefetch::value(&[0u64; 16]);
/// ```
#[inline]
pub fn value<T: ?Sized>(value: &T) {
    range(std::ptr::from_ref(value).cast(), size_of_val(value));
}

/// The part of the stack that the next calls will use.
#[inline]
pub fn stack(bytes: usize) {
    let here = 0u8;
    range(std::ptr::from_ref(&here).wrapping_sub(bytes), bytes);
}

#[inline]
fn range(start: *const u8, bytes: usize) {
    for offset in (0..bytes.max(1)).step_by(LINE) {
        line(start.wrapping_add(offset));
    }
}

#[inline]
fn line(at: *const u8) {
    // SAFETY: the instruction is a hint about an address; it accesses no memory that a program could observe.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}
