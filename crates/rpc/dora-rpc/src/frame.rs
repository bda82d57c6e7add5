//! What travels on an established connection: frames of a length, a kind, a number, and a rest that the kind explains.
//!
//! ```text
//! length: u32 LE | kind: u8 | number: u64 LE | rest (length - 9 bytes)
//! ```
//! The number names a call or a stream; who sends the first frame of either chooses it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes that a frame may have beside its body: kind, number, endpoint, name of the method.
const OVERHEAD: usize = 1 + 8 + 8 + 1 + u8::MAX as usize;

/// One frame. Bodies are encoded by [`codec`](crate::codec).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A call of a method of an endpoint.
    Call { call: u64, endpoint: u64, method: String, body: Vec<u8> },
    /// The caller of a call is gone: work on it may end.
    Cancel { call: u64 },
    /// What the method returned.
    Answer { call: u64, body: Vec<u8> },
    /// Why the method did not run: an [`RpcError`](crate::RpcError).
    Failure { call: u64, body: Vec<u8> },
    /// One item of a stream, within the credit that the reader gave.
    Item { stream: u64, body: Vec<u8> },
    /// The reader of a stream takes so many items more.
    Credit { stream: u64, items: u32 },
    /// The stream has ended: with an [`RpcError`](crate::RpcError), or well if the body is empty.
    End { stream: u64, body: Vec<u8> },
    /// The reader of a stream is gone.
    Abandon { stream: u64 },
    /// The sender closes the connection in good order.
    Goodbye,
}

/// Why bytes are no frame. Whoever sends such bytes is no peer: the connection is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a frame of {size} bytes is longer than the limit of {limit}")]
    TooLong { size: usize, limit: usize },
    #[error("a frame is shorter than its kind demands")]
    Short,
    #[error("frames of kind {0} are unknown")]
    UnknownKind(u8),
    #[error("a method's name is no text")]
    Name,
    #[error("{0}")]
    Protocol(&'static str),
}

impl Frame {
    fn parts(&self) -> (u8, u64, &[u8]) {
        match self {
            Self::Call { call, body, .. } => (1, *call, body),
            Self::Cancel { call } => (2, *call, &[]),
            Self::Answer { call, body } => (3, *call, body),
            Self::Failure { call, body } => (4, *call, body),
            Self::Item { stream, body } => (5, *stream, body),
            Self::Credit { stream, .. } => (6, *stream, &[]),
            Self::End { stream, body } => (7, *stream, body),
            Self::Abandon { stream } => (8, *stream, &[]),
            Self::Goodbye => (9, 0, &[]),
        }
    }

    /// The frame as two pieces that follow one another: what precedes the body, and the body.
    fn pieces(&self) -> (Vec<u8>, &[u8]) {
        let (kind, number, body) = self.parts();
        let mut head = vec![0; 4];
        head.push(kind);
        head.extend_from_slice(&number.to_le_bytes());
        match self {
            Self::Call { endpoint, method, .. } => {
                let name = &method.as_bytes()[..method.len().min(usize::from(u8::MAX))];
                head.extend_from_slice(&endpoint.to_le_bytes());
                head.push(name.len() as u8);
                head.extend_from_slice(name);
            }
            Self::Credit { items, .. } => head.extend_from_slice(&items.to_le_bytes()),
            _ => {}
        }
        let length = (head.len() - 4 + body.len()) as u32;
        head[..4].copy_from_slice(&length.to_le_bytes());
        (head, body)
    }

    /// The bytes that it takes, more or less.
    pub(crate) fn size(&self) -> usize {
        64 + self.parts().2.len()
    }

    /// Reads the frame that `bytes`, without the length, are.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Violation> {
        let mut rest = bytes;
        let [kind] = take(&mut rest)?;
        let number = u64::from_le_bytes(take(&mut rest)?);
        Ok(match kind {
            1 => {
                let endpoint = u64::from_le_bytes(take(&mut rest)?);
                let [length] = take(&mut rest)?;
                let (name, body) = rest.split_at_checked(usize::from(length)).ok_or(Violation::Short)?;
                let method = str::from_utf8(name).map_err(|_| Violation::Name)?.to_owned();
                Self::Call { call: number, endpoint, method, body: body.to_vec() }
            }
            2 => Self::Cancel { call: number },
            3 => Self::Answer { call: number, body: rest.to_vec() },
            4 => Self::Failure { call: number, body: rest.to_vec() },
            5 => Self::Item { stream: number, body: rest.to_vec() },
            6 => Self::Credit { stream: number, items: u32::from_le_bytes(take(&mut rest)?) },
            7 => Self::End { stream: number, body: rest.to_vec() },
            8 => Self::Abandon { stream: number },
            9 => Self::Goodbye,
            other => return Err(Violation::UnknownKind(other)),
        })
    }

    /// Writes the frame without flushing.
    pub(crate) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let (head, body) = self.pieces();
        writer.write_all(&head).await?;
        writer.write_all(body).await
    }

    /// The next frame, or `None` where the stream ends between two frames.
    ///
    /// Memory grows with what arrives, not with what a length announces.
    pub(crate) async fn read(
        reader: &mut (impl AsyncRead + Unpin),
        body_limit: usize,
    ) -> io::Result<Option<Result<Self, Violation>>> {
        let mut length = [0; 4];
        if reader.read(&mut length[..1]).await? == 0 {
            return Ok(None);
        }
        reader.read_exact(&mut length[1..]).await?;
        let (size, limit) = (u32::from_le_bytes(length) as usize, body_limit + OVERHEAD);
        if size > limit {
            return Ok(Some(Err(Violation::TooLong { size, limit })));
        }
        let mut bytes = Vec::new();
        if reader.take(size as u64).read_to_end(&mut bytes).await? < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Self::parse(&bytes)))
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Violation> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(Violation::Short)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = Frame> {
        let body = || proptest::collection::vec(any::<u8>(), 0..300);
        prop_oneof![
            (any::<u64>(), any::<u64>(), "[a-z_é]{0,40}", body())
                .prop_map(|(call, endpoint, method, body)| Frame::Call { call, endpoint, method, body }),
            any::<u64>().prop_map(|call| Frame::Cancel { call }),
            (any::<u64>(), body()).prop_map(|(call, body)| Frame::Answer { call, body }),
            (any::<u64>(), body()).prop_map(|(call, body)| Frame::Failure { call, body }),
            (any::<u64>(), body()).prop_map(|(stream, body)| Frame::Item { stream, body }),
            any::<(u64, u32)>().prop_map(|(stream, items)| Frame::Credit { stream, items }),
            (any::<u64>(), body()).prop_map(|(stream, body)| Frame::End { stream, body }),
            any::<u64>().prop_map(|stream| Frame::Abandon { stream }),
            Just(Frame::Goodbye),
        ]
    }

    async fn read_all(mut bytes: &[u8], limit: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Ok(Some(Ok(frame))) = Frame::read(&mut bytes, limit).await {
            frames.push(frame);
        }
        frames
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn frames_are_read_as_they_were_written(frames in proptest::collection::vec(frames(), 0..6)) {
            let read = block_on(async {
                let mut bytes = Vec::new();
                for frame in &frames {
                    frame.write(&mut bytes).await.unwrap();
                }
                read_all(&bytes, 1000).await
            });
            prop_assert_eq!(read, frames);
        }

        #[test]
        fn any_bytes_are_a_frame_or_a_violation(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Frame::parse(&bytes);
            block_on(read_all(&bytes, 100));
        }
    }

    #[tokio::test]
    async fn a_length_beyond_the_limit_is_refused_before_anything_is_read() {
        let mut bytes: &[u8] = &[255, 255, 255, 255, 1, 2, 3];
        let read = Frame::read(&mut bytes, 1000).await.unwrap().unwrap();
        assert_eq!(read, Err(Violation::TooLong { size: u32::MAX as usize, limit: 1000 + OVERHEAD }));
    }
}
