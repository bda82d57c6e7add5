//! What a service is known by off its machine: a certificate, and the fingerprint by which clients know it again.

use std::{fmt, io, str::FromStr, sync::Arc};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring::default_provider, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    version::TLS13,
};

use crate::hex;

/// The key and the self-signed certificate of a service.
///
/// Clients do not ask an authority about it; they know its [`Fingerprint`].
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: Pem,
}

/// An identity as text, for the files in which it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    /// The certificate, which everybody may see.
    pub certificate: String,
    /// The key, which nobody else may see.
    pub key: String,
}

/// Why an identity is not one.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It could not be made.
    #[error("a certificate cannot be made: {0}")]
    Generate(#[from] rcgen::Error),
    /// The texts hold no certificate or no key.
    #[error("this is no certificate with its key: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// Certificate and key do not belong together, or TLS refuses them.
    #[error("the certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

impl Identity {
    /// A new key and its certificate, for hosts of these names or addresses.
    ///
    /// # Errors
    /// [`IdentityError::Generate`] if a name is impossible.
    pub fn generate(hosts: impl IntoIterator<Item = String>) -> Result<Self, IdentityError> {
        let made = rcgen::generate_simple_self_signed(hosts.into_iter().collect::<Vec<_>>())?;
        Self::from_pem(Pem { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() })
    }

    /// The identity that was kept as text.
    ///
    /// # Errors
    /// [`IdentityError::Pem`].
    pub fn from_pem(pem: Pem) -> Result<Self, IdentityError> {
        let certificate = CertificateDer::from_pem_slice(pem.certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes())?;
        Ok(Self { certificate, key, pem })
    }

    /// The identity as text.
    pub fn pem(&self) -> &Pem {
        &self.pem
    }

    /// What clients know it by.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    pub(crate) fn server_config(&self) -> Result<ServerConfig, IdentityError> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        Ok(config)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Identity({})", self.fingerprint())
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pem(secret)")
    }
}

/// The SHA-256 of a certificate: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is `sha256:` and 64 hexadecimal digits")]
pub struct NoFingerprint;

impl Fingerprint {
    fn of(certificate: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
        Self(bytes)
    }

    /// TLS 1.3 to the one server that has this fingerprint.
    pub(crate) fn client_config(self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(default_provider());
        let verifier = Arc::new(Pinned { fingerprint: self, provider: provider.clone() });
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", hex::encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        text.strip_prefix("sha256:").and_then(hex::decode).map(Self).ok_or(NoFingerprint)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = NoFingerprint;

    fn try_from(text: String) -> Result<Self, NoFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// Trusts one certificate, whoever signed it, and checks that the server has its key.
#[derive(Debug)]
struct Pinned {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = Fingerprint::of(certificate);
        if shown == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            let wrong = Arc::new(WrongCertificate { shown, known: self.fingerprint });
            Err(rustls::CertificateError::Other(rustls::OtherError(wrong)).into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A server that is not the one that was meant.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it shows the certificate {shown}, known is {known}")]
pub(crate) struct WrongCertificate {
    shown: Fingerprint,
    known: Fingerprint,
}

impl WrongCertificate {
    /// The reason of an error of a connection, if it is this one.
    pub(crate) fn in_error(error: &io::Error) -> Option<&Self> {
        match error.get_ref()?.downcast_ref()? {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(reason)) => reason.0.downcast_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_files() {
        let identity = Identity::generate(["localhost".to_owned()]).unwrap();
        let again = Identity::from_pem(identity.pem().clone()).unwrap();
        assert_eq!(again.fingerprint(), identity.fingerprint());
        assert!(again.server_config().is_ok());
        assert!(!format!("{:?} {:?}", identity, identity.pem()).contains("PRIVATE"));
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let fingerprint = Identity::generate(["localhost".to_owned()]).unwrap().fingerprint();
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        for wrong in ["", "sha256:", "sha256:zz", "md5:00", &"é".repeat(36)] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NoFingerprint));
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) =
            (Identity::generate(["a".to_owned()]).unwrap(), Identity::generate(["b".to_owned()]).unwrap());
        let mixed = Pem { certificate: one.pem().certificate.clone(), key: other.pem().key.clone() };
        assert!(matches!(Identity::from_pem(mixed).unwrap().server_config(), Err(IdentityError::Tls(_))));
    }
}
