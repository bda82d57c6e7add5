//! What a node that was woken is about to run through, asked for at once: see [`dora_channel::prefetch`].

use std::{ptr::NonNull, sync::Arc};

use arrow::{
    alloc::Allocation,
    array::UInt8Array,
    buffer::{Buffer, NullBuffer, ScalarBuffer},
    error::ArrowError,
};
use dora_channel::prefetch;
use dora_message::arrow::{decode, inline_buffer};

use super::{EventStream, Next};

impl EventStream {
    /// Asks the CPU to load the code and the data of receiving one message. The sizes are what an ordinary message uses
    /// of each function; a wrong one costs a little speed and nothing else.
    #[cold]
    pub(super) fn prefetch(&self) {
        const STACK: usize = 2048;
        prefetch::stack(STACK);
        self.scheduler.prefetch();
        type NewBuffer = unsafe fn(NonNull<u8>, usize, Arc<dyn Allocation>) -> Buffer;
        type NewArray = fn(ScalarBuffer<u8>, Option<NullBuffer>) -> Result<UInt8Array, ArrowError>;
        let code: [(*const (), usize); 7] = [
            (Buffer::from_custom_allocation as NewBuffer as *const (), 256),
            (UInt8Array::try_new as NewArray as *const (), 256),
            (Self::next_unseen as fn(&mut Self) -> Next as *const (), 2048),
            (decode as fn(_, &'static [u8], _) -> _ as *const (), 1024),
            (inline_buffer as fn(&'static [u8]) -> _ as *const (), 384),
            (libc::malloc as *const (), 384),
            (libc::free as *const (), 256),
        ];
        code.into_iter().for_each(|(function, bytes)| prefetch::code(function, bytes));
    }
}
