//! What a coordinator shows and demands on the network: key, certificate and token, made on first use.

use std::path::Path;

use dora_rpc::{Fingerprint, Identity, Pem, Token};

use crate::{client::contexts::Secret, error::CommandError, home};

/// What a coordinator shows and demands.
pub(crate) struct Credentials {
    pub(crate) identity: Identity,
    pub(crate) token: Token,
}

impl Credentials {
    /// Those in the directory of a coordinator; new ones if there are none.
    pub(crate) fn of(directory: &Path) -> Result<Self, CommandError> {
        let identity = identity(&directory.join("key.pem"), &directory.join("cert.pem"))?;
        Ok(Self { identity, token: token(&directory.join("token"))? })
    }
}

/// What clients need, if the coordinator of this directory has been on the network.
pub(crate) fn for_clients(directory: &Path) -> Result<Option<(Fingerprint, Secret)>, CommandError> {
    let known = directory.join("token").exists() && directory.join("cert.pem").exists();
    let credentials = known.then(|| Credentials::of(directory)).transpose()?;
    Ok(credentials.map(|Credentials { identity, token }| (identity.fingerprint(), token.reveal().to_owned().into())))
}

fn identity(key_path: &Path, certificate_path: &Path) -> Result<Identity, CommandError> {
    let broken = |reason: &dyn std::fmt::Display| {
        CommandError::failed(format!("`{}` and `{}`: {reason}", key_path.display(), certificate_path.display()))
            .with_hint("remove both, and new ones are made; clients then need the new `dora context add` line")
    };
    match (home::read(key_path)?, home::read(certificate_path)?) {
        (Some(key), Some(certificate)) => Identity::from_pem(Pem { certificate, key }).map_err(|error| broken(&error)),
        (None, None) => {
            // Clients know the fingerprint; nobody looks at the names.
            let made = Identity::generate(["dora".to_owned()]).map_err(|error| broken(&error))?;
            home::write_secret(key_path, made.pem().key.as_bytes())?;
            home::write_secret(certificate_path, made.pem().certificate.as_bytes())?;
            Ok(made)
        }
        _ => Err(broken(&"one of them is missing")),
    }
}

fn token(path: &Path) -> Result<Token, CommandError> {
    if let Some(text) = home::read(path)?.map(|text| text.trim().to_owned()) {
        // An empty one would let everybody in.
        return match text.is_empty() {
            false => Ok(Token::from(text)),
            true => Err(CommandError::failed(format!("`{}` is empty", path.display()))
                .with_hint("remove it, and a new token is made; clients then need the new `dora context add` line")),
        };
    }
    let token = Token::generate().map_err(|error| CommandError::failed(error.to_string()))?;
    home::write_secret(path, format!("{}\n", token.reveal()).as_bytes())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn they_are_made_once() {
        let place = tempfile::tempdir().expect("a directory");
        assert!(for_clients(place.path()).expect("readable").is_none());
        let made = Credentials::of(place.path()).expect("new ones");
        let again = for_clients(place.path()).expect("readable");
        assert_eq!(again, Some((made.identity.fingerprint(), made.token.reveal().to_owned().into())));
    }

    #[test]
    fn half_of_a_pair_and_an_empty_token_are_refused_with_advice() {
        let place = tempfile::tempdir().expect("a directory");
        Credentials::of(place.path()).expect("new ones");
        fs::write(place.path().join("token"), "\n").expect("our own file");
        let empty = Credentials::of(place.path()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(empty.ends_with("token` is empty"), "{empty}");
        fs::remove_file(place.path().join("key.pem")).expect("our own file");
        let half = Credentials::of(place.path()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(half.contains("one of them is missing"), "{half}");
    }
}
