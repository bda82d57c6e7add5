//! The first words on a connection: who calls, which version it speaks, and whether it may.
//!
//! The encoding is frozen: versions that do not understand each other must still be able to say so. A greeting is
//! `b"DORA"`, a kind, the length of the rest (u16 LE), and fields; what follows the known fields is skipped.
//!
//! ```text
//! Hello   1: version u16 | role u8 | name str | build str | token str
//! Welcome 2: version u16 | name str | build str
//! Reject  3: reason u8   | version u16 | text str            str = length u16 LE, UTF-8
//! ```

use std::{fmt, io};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAGIC: [u8; 4] = *b"DORA";

/// What an unknown caller can make us read.
const MAX_GREETING: usize = 2048;

/// The protocol that this build speaks. One that is older or newer by one is understood.
pub const PROTOCOL_VERSION: u16 = 1;

/// What somebody is on a connection; endpoints are handed out by it.
///
/// It is what the other side says: who is let in at all, by token or as the same user, may say what it likes. It keeps
/// honest programs from calling what is not theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// A command line, or another program of a user.
    Client,
    /// What executes nodes on a machine.
    Daemon,
    /// What decides.
    Coordinator,
}

impl Role {
    const ALL: [Self; 3] = [Self::Client, Self::Daemon, Self::Coordinator];

    fn number(self) -> u8 {
        Self::ALL.iter().position(|role| *role == self).unwrap_or_default() as u8 + 1
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Client => "client",
            Self::Daemon => "daemon",
            Self::Coordinator => "coordinator",
        })
    }
}

/// What we say about ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// What we are.
    pub role: Role,
    /// Our name.
    pub name: String,
    /// Our build, for people.
    pub build: String,
    /// The protocol that we speak: [`PROTOCOL_VERSION`], except in tests.
    pub version: u16,
}

/// Why the other side does not talk with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Our versions are too far apart.
    Version,
    /// The token is missing or wrong.
    Token,
    /// It has as many connections as it takes.
    Full,
    /// It stops.
    Stopping,
    /// A reason that only a newer version knows.
    Other,
}

impl Refusal {
    const ALL: [Self; 4] = [Self::Version, Self::Token, Self::Full, Self::Stopping];

    fn number(self) -> u8 {
        Self::ALL.iter().position(|reason| *reason == self).map_or(0, |index| index as u8 + 1)
    }

    fn from_number(number: u8) -> Self {
        usize::from(number).checked_sub(1).and_then(|index| Self::ALL.get(index)).copied().unwrap_or(Self::Other)
    }
}

/// One greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    Hello { version: u16, role: Role, name: String, build: String, token: String },
    Welcome { version: u16, name: String, build: String },
    Reject { reason: Refusal, version: u16, text: String },
}

/// The version in which two talk: the lower one, if they are neighbours.
pub(crate) fn negotiate(ours: u16, theirs: u16) -> Option<u16> {
    (ours.abs_diff(theirs) <= 1).then_some(ours.min(theirs))
}

impl Greeting {
    fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        let kind = match self {
            Self::Hello { version, role, name, build, token } => {
                fields.extend_from_slice(&version.to_le_bytes());
                fields.push(role.number());
                [name, build, token].into_iter().for_each(|text| put(&mut fields, text));
                1
            }
            Self::Welcome { version, name, build } => {
                fields.extend_from_slice(&version.to_le_bytes());
                [name, build].into_iter().for_each(|text| put(&mut fields, text));
                2
            }
            Self::Reject { reason, version, text } => {
                fields.push(reason.number());
                fields.extend_from_slice(&version.to_le_bytes());
                put(&mut fields, text);
                3
            }
        };
        let mut bytes = MAGIC.to_vec();
        bytes.push(kind);
        bytes.extend_from_slice(&(fields.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&fields);
        bytes
    }

    fn decode(kind: u8, mut fields: &[u8]) -> Option<Self> {
        let from = &mut fields;
        Some(match kind {
            1 => Self::Hello {
                version: number(from)?,
                role: Role::from_number(byte(from)?)?,
                name: text(from)?,
                build: text(from)?,
                token: text(from)?,
            },
            2 => Self::Welcome { version: number(from)?, name: text(from)?, build: text(from)? },
            3 => Self::Reject { reason: Refusal::from_number(byte(from)?), version: number(from)?, text: text(from)? },
            _ => return None,
        })
    }

    pub(crate) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        writer.write_all(&self.encode()).await?;
        writer.flush().await
    }

    /// The next greeting.
    ///
    /// # Errors
    /// `InvalidData` if the other side speaks something else; what the socket says.
    pub(crate) async fn read(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let foreign = || io::Error::new(io::ErrorKind::InvalidData, "the other side does not speak dora's protocol");
        let mut head = [0; 7];
        reader.read_exact(&mut head[..4]).await?;
        if head[..4] != MAGIC {
            return Err(foreign());
        }
        reader.read_exact(&mut head[4..]).await?;
        let length = usize::from(u16::from_le_bytes([head[5], head[6]]));
        if length > MAX_GREETING {
            return Err(foreign());
        }
        let mut fields = vec![0; length];
        reader.read_exact(&mut fields).await?;
        Self::decode(head[4], &fields).ok_or_else(foreign)
    }
}

/// Appends a text; one that would not fit is cut, since a greeting must always be possible.
fn put(fields: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(512)];
    fields.extend_from_slice(&(text.len() as u16).to_le_bytes());
    fields.extend_from_slice(text.as_bytes());
}

fn byte(fields: &mut &[u8]) -> Option<u8> {
    fields.split_off_first().copied()
}

fn number(fields: &mut &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes([byte(fields)?, byte(fields)?]))
}

fn text(fields: &mut &[u8]) -> Option<String> {
    let length = usize::from(number(fields)?);
    str::from_utf8(fields.split_off(..length)?).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn greetings() -> impl Strategy<Value = Greeting> {
        let text = || ".{0,60}";
        prop_oneof![
            (any::<u16>(), 0..3_usize, text(), text(), text()).prop_map(|(version, role, name, build, token)| {
                Greeting::Hello { version, role: Role::ALL[role], name, build, token }
            }),
            (any::<u16>(), text(), text()).prop_map(|(version, name, build)| Greeting::Welcome {
                version,
                name,
                build
            }),
            (0..4_usize, any::<u16>(), text()).prop_map(|(reason, version, text)| Greeting::Reject {
                reason: Refusal::ALL[reason],
                version,
                text
            }),
        ]
    }

    fn read(mut bytes: &[u8]) -> io::Result<Greeting> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Greeting::read(&mut bytes))
    }

    proptest! {
        #[test]
        fn greetings_are_read_as_they_were_written(greeting in greetings()) {
            prop_assert_eq!(read(&greeting.encode()).unwrap(), greeting);
        }

        #[test]
        fn fields_that_a_later_version_appends_are_skipped(greeting in greetings(), more in any::<[u8; 9]>()) {
            let mut bytes = greeting.encode();
            bytes.extend_from_slice(&more);
            let length = bytes.len() as u16 - 7;
            bytes[5..7].copy_from_slice(&length.to_le_bytes());
            prop_assert_eq!(read(&bytes).unwrap(), greeting);
        }

        #[test]
        fn any_bytes_are_a_greeting_or_an_error(kind: u8, fields: Vec<u8>, raw: Vec<u8>) {
            let _ = Greeting::decode(kind, &fields);
            let _ = read(&raw);
        }

        #[test]
        fn neighbours_speak_the_older_version(ours: u16, theirs: u16) {
            prop_assert_eq!(negotiate(ours, theirs), negotiate(theirs, ours));
            prop_assert_eq!(negotiate(ours, theirs).is_some(), ours.abs_diff(theirs) <= 1);
        }
    }

    /// The encoding is frozen: these bytes never change.
    #[test]
    fn the_encoding_is_frozen() {
        let hello = Greeting::Hello {
            version: 1,
            role: Role::Daemon,
            name: "m1".to_owned(),
            build: "1.2.0".to_owned(),
            token: String::new(),
        };
        assert_eq!(hello.encode(), b"DORA\x01\x10\x00\x01\x00\x02\x02\x00m1\x05\x001.2.0\x00\x00");
        let reject = Greeting::Reject { reason: Refusal::Version, version: 3, text: "no".to_owned() };
        assert_eq!(reject.encode(), b"DORA\x03\x07\x00\x01\x03\x00\x02\x00no");
    }
}
