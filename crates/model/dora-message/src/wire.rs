//! Bytes in, bytes out: the few primitives that the binary encodings of this crate are made of.
//!
//! Lengths are varints (LEB128), numbers are little endian. Reading never panics and never trusts a length: whatever
//! is taken was there. This module must not know what the bytes mean.

/// Where encoded bytes go. One encoder serves all three: append, write in place, only count.
pub(crate) trait Put {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Appends one byte.
    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    /// Appends a length or count as a varint of 1 to 10 bytes.
    fn put_varint(&mut self, mut value: u64) {
        let mut bytes = [0; 10];
        let mut used = 0;
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            bytes[used] = if value == 0 { low } else { low | 0x80 };
            used += 1;
            if value == 0 {
                break;
            }
        }
        self.put(&bytes[..used]);
    }

    /// Appends a byte string after its length.
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what an encoder would write.
#[derive(Default)]
pub(crate) struct Count(pub(crate) usize);

impl Put for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// Writes into memory that was reserved after counting. What does not fit is counted, not written.
pub(crate) struct InPlace<'a> {
    rest: &'a mut [u8],
    overflow: usize,
}

impl<'a> InPlace<'a> {
    pub(crate) fn new(memory: &'a mut [u8]) -> Self {
        Self { rest: memory, overflow: 0 }
    }

    /// Whether everything fitted and nothing is left over.
    pub(crate) fn is_exact(&self) -> bool {
        self.overflow == 0 && self.rest.is_empty()
    }
}

impl Put for InPlace<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let rest = std::mem::take(&mut self.rest);
        match rest.split_at_mut_checked(bytes.len()) {
            Some((here, rest)) if self.overflow == 0 => {
                here.copy_from_slice(bytes);
                self.rest = rest;
            }
            _ => self.overflow += bytes.len(),
        }
    }
}

/// The bytes end before the value does, or a varint is longer than 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end in the middle of a value")]
pub struct Truncated;

/// Takes values off the front of a byte slice.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes not yet taken: an upper bound for every count that is still to be believed.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Truncated> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Truncated> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let low = u64::from(byte & 0x7f);
            if (low << shift) >> shift != low {
                return Err(Truncated);
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Truncated)
    }

    /// A varint that is used as a length or index in memory.
    pub(crate) fn size(&mut self) -> Result<usize, Truncated> {
        usize::try_from(self.varint()?).map_err(|_| Truncated)
    }

    /// A byte string after its length.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Truncated> {
        let len = self.size()?;
        self.take(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64) {
            let mut bytes = Vec::new();
            bytes.put_varint(value);
            let mut count = Count::default();
            count.put_varint(value);
            prop_assert_eq!(count.0, bytes.len());
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn a_varint_of_more_than_64_bits_is_refused() {
        assert_eq!(Reader::new(&[0xff; 11]).varint(), Err(Truncated));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).varint(), Err(Truncated));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).varint(), Ok(u64::MAX));
    }

    #[test]
    fn in_place_notices_too_little_and_too_much() {
        for (room, exact) in [(2, false), (3, true), (4, false)] {
            let mut memory = vec![0; room];
            let mut place = InPlace::new(&mut memory);
            place.put(&[1, 2]);
            place.put_u8(3);
            assert_eq!(place.is_exact(), exact, "{room}");
        }
    }
}
