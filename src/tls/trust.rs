//! What is trusted and what is shown in a handshake, parsed once: root certificates, a client's certificate and key.

use std::fmt;
use std::sync::{Arc, Mutex};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, NamedGroup};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::path::route::Host;
use crate::secret::Secret;

use super::certificate::{Demand, Verifier};
use super::error::{ClientCertError, ClientKeyError, IdentityError, RootCertError};
use super::issuer::Root;

/// The certificates that a server's may lead to.
#[derive(Clone, Default)]
pub struct Roots(Arc<[Root]>);

impl Roots {
    /// Reads a PEM bundle.
    ///
    /// # Errors
    ///
    /// [`RootCertError`], with the number of the certificate at fault.
    pub fn from_pem(bundle: &str) -> Result<Self, RootCertError> {
        let mut roots = Vec::new();
        for (position, certificate) in CertificateDer::pem_slice_iter(bundle.as_bytes()).enumerate() {
            let number = position.saturating_add(1);
            let der = certificate.map_err(|_| RootCertError::Damaged { number })?;
            roots.push(Root::from_der(der).ok_or(RootCertError::NotACertificate { number })?);
        }
        if roots.is_empty() { Err(RootCertError::Empty) } else { Ok(Self(roots.into())) }
    }

    /// Those of this machine.
    ///
    /// # Errors
    ///
    /// [`RootCertError::SystemEmpty`].
    pub fn of_system() -> Result<Self, RootCertError> {
        // A system's store may hold certificates that cannot be read here; those that can are enough.
        let roots: Vec<Root> = rustls_native_certs::load_native_certs().certs.into_iter().filter_map(Root::from_der).collect();
        if roots.is_empty() { Err(RootCertError::SystemEmpty) } else { Ok(Self(roots.into())) }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A client's certificate, its chain and its key. Holds a secret, so it has no `Debug`.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// Reads a PEM chain, the client's own certificate first, and its PEM key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    ///
    /// # Errors
    ///
    /// [`IdentityError`]. Nothing of the key is quoted.
    pub fn from_pem(chain: &str, key: &Secret<String>) -> Result<Self, IdentityError> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().map_err(|_| ClientCertError::Damaged)?;
        let own = chain.first().ok_or(ClientCertError::Empty)?;
        // Not rustls' own comparison: it cannot read certificates of X.509 version 1, which openssl makes unless told otherwise.
        let (_, parsed) = X509Certificate::from_der(own).map_err(|_| ClientCertError::NotACertificate)?;
        let public_key = parsed.public_key().raw.to_vec();

        let pem = key.expose();
        let encrypted = pem.contains("BEGIN ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED");
        let der = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(_) | Err(pem::Error::NoItemsFound | pem::Error::Base64Decode(_)) if encrypted => {
                return Err(ClientKeyError::Encrypted.into());
            }
            Ok(der) => der,
            Err(_) => return Err(ClientKeyError::NotAKey.into()),
        };
        let key = ring::default_provider().key_provider.load_private_key(der).map_err(|_| ClientKeyError::Unsupported)?;
        match key.public_key() {
            Some(of_key) if of_key.as_ref() == public_key => Ok(Self(Arc::new(CertifiedKey::new(chain, key)))),
            _ => Err(ClientKeyError::Mismatch.into()),
        }
    }
}

/// What a server has to show, and what is shown to one that asks.
#[derive(Clone)]
pub struct Trust {
    demand: Demand,
    roots: Roots,
    client: Option<Identity>,
}

// By hand: a client key is inside.
impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("demand", &self.demand).field("roots", &self.roots.0.len()).finish_non_exhaustive()
    }
}

impl Trust {
    /// A demand without roots to meet it is met by no server.
    #[must_use]
    pub const fn new(demand: Demand, roots: Roots, client: Option<Identity>) -> Self {
        Self { demand, roots, client }
    }

    /// How much of a server's certificate is checked.
    #[must_use]
    pub const fn demand(&self) -> Demand {
        self.demand
    }

    /// Everything for one handshake with `host`, and the verifier that will know why it failed.
    pub(super) fn for_host(&self, host: &Host) -> Result<(ClientConfig, Arc<Verifier>), rustls::Error> {
        let provider = provider();
        let verifier = Arc::new(Verifier {
            demand: self.demand,
            roots: Arc::clone(&self.roots.0),
            host: host.as_str().trim_end_matches('.').to_owned(),
            algorithms: provider.signature_verification_algorithms,
            problem: Mutex::new(None),
        });
        let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier));
        let mut config = match &self.client {
            Some(Identity(identity)) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity)))),
            None => builder.with_no_client_auth(),
        };
        // A check proves a whole handshake; Postgres issues no tickets anyway.
        config.resumption = Resumption::disabled();
        Ok((config, verifier))
    }
}

/// ring, given by hand: a library installs no process-wide default.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    // Postgres up to 17 takes prime256v1 only unless told otherwise (ssl_ecdh_curve). Offering it first saves the round trip of a
    // HelloRetryRequest; newer servers take it as well.
    provider.kx_groups.sort_by_key(|group| group.name() != NamedGroup::secp256r1);
    provider
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{Authority, pem};

    #[test]
    fn p256_is_offered_first_and_nothing_is_lost() {
        let names: Vec<NamedGroup> = provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(names.first(), Some(&NamedGroup::secp256r1));
        assert_eq!(names.len(), ring::default_provider().kx_groups.len());
    }

    #[test]
    fn an_unreadable_root_is_named_by_its_number() {
        let root = Authority::new("root").pem();
        let error = |text: &str| Roots::from_pem(text).err().unwrap();
        assert_eq!(error(""), RootCertError::Empty);
        assert_eq!(error("ssh-ed25519 AAAA"), RootCertError::Empty);
        assert_eq!(error(&format!("{root}{}", pem("CERTIFICATE", b"junk"))), RootCertError::NotACertificate { number: 2 });
        assert_eq!(error(&format!("{root}-----BEGIN CERTIFICATE-----\nAAAA\n")), RootCertError::Damaged { number: 2 });
    }

    #[test]
    fn a_client_key_has_to_be_plain_and_its_certificates_own() {
        let authority = Authority::new("root");
        let one = authority.client("one");
        let other = authority.client("other");
        let new = |chain: &str, key: &str| Identity::from_pem(chain, &Secret::from(key)).map(drop);
        assert_eq!(new(&one.pem(), &one.key_pem()), Ok(()));
        assert_eq!(new(&authority.version_1("one").pem(), &one.key_pem()), Err(ClientKeyError::Mismatch.into()));
        let old = authority.version_1("old");
        assert_eq!(new(&old.pem(), &old.key_pem()), Ok(()));
        assert_eq!(new(&one.pem(), &other.key_pem()), Err(ClientKeyError::Mismatch.into()));
        assert_eq!(new(&one.pem(), &one.pem()), Err(ClientKeyError::NotAKey.into()));
        assert_eq!(new(&one.pem(), &pem("ENCRYPTED PRIVATE KEY", b"whatever")), Err(ClientKeyError::Encrypted.into()));
        assert_eq!(new(&one.pem(), &pem("PRIVATE KEY", b"whatever")), Err(ClientKeyError::Unsupported.into()));
        assert_eq!(new("", &one.key_pem()), Err(ClientCertError::Empty.into()));
        assert_eq!(new(&pem("CERTIFICATE", b"junk"), &one.key_pem()), Err(ClientCertError::NotACertificate.into()));
    }

    #[test]
    fn debug_shows_no_key() {
        let client = Authority::new("root").client("one");
        let identity = Identity::from_pem(&client.pem(), &Secret::from(client.key_pem())).unwrap();
        assert_eq!(
            format!("{:?}", Trust::new(Demand::Nothing, Roots::default(), Some(identity))),
            "Trust { demand: Nothing, roots: 0, .. }"
        );
    }
}
