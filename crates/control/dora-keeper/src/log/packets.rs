//! Lines on their way to the supervisor: as many as fit into one packet.

use dora_message::{
    id::NodeId,
    supervision::{FromKeeper, OutputStream},
};

/// The most bytes that the texts of a packet may have once they are JSON; the rest of it is for the other fields.
pub(crate) const LONGEST_ENCODED: usize = 48 * 1024;

/// Lines of one node as they are told.
#[derive(Debug)]
pub(super) struct Packet {
    /// [`FromKeeper::Lines`].
    pub(super) json: Vec<u8>,
    /// Lines that end in it.
    pub(super) lines: u64,
    /// More of the last line is in the next one.
    pub(super) partial: bool,
}

/// Packs the lines that were read at one time.
pub(super) struct Packer<'a> {
    node: &'a NodeId,
    stream: OutputStream,
    time_ns: u64,
    lines: Vec<String>,
    encoded: usize,
    full: Vec<Packet>,
}

impl<'a> Packer<'a> {
    pub(super) fn new(node: &'a NodeId, stream: OutputStream, time_ns: u64) -> Self {
        Packer { node, stream, time_ns, lines: Vec::new(), encoded: 0, full: Vec::new() }
    }

    pub(super) fn push(&mut self, line: &str) {
        let len = encoded_len(line);
        if self.encoded + len > LONGEST_ENCODED {
            self.pack(false);
        }
        if len > LONGEST_ENCODED {
            return self.push_pieces(line);
        }
        self.encoded += len;
        self.lines.push(line.to_owned());
    }

    fn push_pieces(&mut self, line: &str) {
        let mut rest = line;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(fitting(rest));
            self.lines.push(piece.to_owned());
            self.pack(!after.is_empty());
            rest = after;
        }
    }

    fn pack(&mut self, partial: bool) {
        let lines = std::mem::take(&mut self.lines);
        self.encoded = 0;
        if lines.is_empty() {
            return;
        }
        let (node, stream, time_ns) = (self.node.clone(), self.stream, self.time_ns);
        let count = lines.len() as u64 - u64::from(partial);
        // Our own types always have a JSON form.
        let json = serde_json::to_vec(&FromKeeper::Lines { node, stream, time_ns, lines, partial });
        self.full.extend(json.map(|json| Packet { json, lines: count, partial }));
    }

    pub(super) fn finish(mut self) -> Vec<Packet> {
        self.pack(false);
        self.full
    }
}

/// Bytes of a text as JSON, with its quotes and a comma.
pub(crate) fn encoded_len(text: &str) -> usize {
    text.bytes().map(encoded_byte).sum::<usize>() + 3
}

fn encoded_byte(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// Length of the longest beginning of a text that fits into a packet.
fn fitting(text: &str) -> usize {
    let mut encoded = 3;
    let end = text.bytes().position(|byte| {
        encoded += encoded_byte(byte);
        encoded > LONGEST_ENCODED
    });
    text.floor_char_boundary(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use dora_message::keeper::MAX_PACKET;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_encoded_length_is_that_of_serde_json() {
        let text: String = (0..0x180).filter_map(char::from_u32).collect();
        assert_eq!(encoded_len(&text), serde_json::to_string(&text).unwrap().len() + 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_packet_fits_and_nothing_is_lost(lines in prop::collection::vec(("(a|\u{e4}|\"|\u{1}){0,40}", 0..4000usize), 0..6)) {
            let lines: Vec<String> = lines.into_iter().map(|(text, count)| text.repeat(count)).collect();
            let node = NodeId::from("n".repeat(200));
            let mut packer = Packer::new(&node, OutputStream::Stdout, u64::MAX);
            lines.iter().for_each(|line| packer.push(line));
            let (mut joined, mut open, mut counted) = (Vec::<String>::new(), false, 0);
            for packet in packer.finish() {
                prop_assert!(packet.json.len() <= MAX_PACKET);
                counted += packet.lines;
                let FromKeeper::Lines { lines, partial, .. } = serde_json::from_slice(&packet.json).unwrap() else { unreachable!() };
                for line in lines {
                    match joined.last_mut().filter(|_| open) {
                        Some(begun) => begun.push_str(&line),
                        None => joined.push(line),
                    }
                    open = false;
                }
                open = partial;
            }
            prop_assert_eq!(counted, lines.len() as u64);
            prop_assert_eq!(joined, lines);
        }
    }
}
