//! The secret that a client shows: whoever has it may talk to the service.

use std::fmt;

use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};

use crate::hex;

/// A secret text. It is shown only where [`reveal`](Self::reveal) is called.
#[derive(Clone)]
pub struct Token {
    secret: String,
}

/// The system gave no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

impl Token {
    /// A new token: 256 random bits as 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bits = [0; 32];
        SystemRandom::new().fill(&mut bits).map_err(|_| NoRandomness)?;
        Ok(Self { secret: hex::encode(&bits) })
    }

    /// The token as text, to be stored or sent.
    pub fn reveal(&self) -> &str {
        &self.secret
    }

    /// Whether `shown` is this token. Digests are compared, so the time that it takes tells nothing about the token.
    pub(crate) fn matches(&self, shown: &str) -> bool {
        let of = |text: &str| digest(&SHA256, text.as_bytes());
        of(&self.secret).as_ref() == of(shown).as_ref()
    }
}

impl From<String> for Token {
    fn from(secret: String) -> Self {
        Self { secret }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_itself_and_is_not_printed() {
        let token = Token::generate().unwrap();
        assert_eq!(token.reveal().len(), 64);
        assert!(token.matches(token.reveal()));
        assert!(!token.matches("") && !Token::generate().unwrap().matches(token.reveal()));
        assert!(!format!("{token:?}").contains(token.reveal()));
    }
}
