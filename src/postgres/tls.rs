//! The TLS arguments of a connection, parsed once: which certificates are trusted, which one is shown.

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
use super::error::{ClientCertError, ClientKeyError, RootCertError, TlsSettingsError};
use super::issuer::Root;
use super::secured::Verified;
use super::sslmode::SslMode;

/// The word by which libpq 16 means the roots of the operating system.
const SYSTEM: &str = "system";

/// `sslmode`, `sslrootcert`, `sslcert` and `sslkey`, checked against each other.
#[derive(Clone)]
pub struct TlsSettings {
    mode: SslMode,
    demand: Demand,
    roots: Arc<[Root]>,
    client: Option<Arc<CertifiedKey>>,
}

// By hand: a client key is inside.
impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings").field("mode", &self.mode).field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// Takes the arguments as a user gives them.
    ///
    /// `sslrootcert` is a PEM bundle, or the word `system`. As with libpq, giving it turns the check of the chain on in every mode that
    /// uses TLS, `require` included. `client` is a PEM chain, the client's own certificate first, and its PEM key: PKCS#8, PKCS#1 or
    /// SEC1, not encrypted.
    ///
    /// # Errors
    ///
    /// [`TlsSettingsError`], which names the argument.
    pub fn new(mode: SslMode, sslrootcert: Option<&str>, client: Option<(&str, &Secret<String>)>) -> Result<Self, TlsSettingsError> {
        let roots = match sslrootcert {
            None if matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull) => return Err(TlsSettingsError::RootCertMissing),
            None => Vec::new(),
            Some(word) if word.trim() == SYSTEM && mode == SslMode::VerifyFull => system_roots()?,
            Some(word) if word.trim() == SYSTEM => return Err(RootCertError::SystemNeedsVerifyFull.into()),
            Some(bundle) => bundled_roots(bundle)?,
        };
        let demand = match (mode, roots.is_empty()) {
            (SslMode::VerifyFull, _) => Demand::Host,
            (SslMode::VerifyCa, _) | (_, false) => Demand::Chain,
            (_, true) => Demand::Nothing,
        };
        let client = client.map(|(chain, key)| client_identity(chain, key)).transpose()?;
        Ok(Self { mode, demand, roots: roots.into(), client: client.map(Arc::new) })
    }

    /// The mode that was asked for.
    #[must_use]
    pub const fn mode(&self) -> SslMode {
        self.mode
    }

    /// What a finished handshake with `host` has proven.
    pub(super) fn verified(&self, host: &Host) -> Verified {
        match self.demand {
            Demand::Nothing => Verified::Nothing,
            Demand::Chain => Verified::Chain,
            Demand::Host => Verified::Host(host.as_str().to_owned()),
        }
    }

    /// Everything for one handshake with `host`, and the verifier that will know why it failed.
    pub(super) fn for_host(&self, host: &Host) -> Result<(ClientConfig, Arc<Verifier>), rustls::Error> {
        let provider = provider();
        let verifier = Arc::new(Verifier {
            demand: self.demand,
            roots: Arc::clone(&self.roots),
            host: host.as_str().trim_end_matches('.').to_owned(),
            algorithms: provider.signature_verification_algorithms,
            problem: Mutex::new(None),
        });
        let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::<Verifier>::clone(&verifier));
        let mut config = match &self.client {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity)))),
            None => builder.with_no_client_auth(),
        };
        // Postgres issues no tickets, so there is never a session to resume.
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

fn bundled_roots(bundle: &str) -> Result<Vec<Root>, RootCertError> {
    let mut roots = Vec::new();
    for (position, certificate) in CertificateDer::pem_slice_iter(bundle.as_bytes()).enumerate() {
        let number = position.saturating_add(1);
        let der = certificate.map_err(|_| RootCertError::Damaged { number })?;
        roots.push(Root::from_der(der).ok_or(RootCertError::NotACertificate { number })?);
    }
    if roots.is_empty() { Err(RootCertError::Empty) } else { Ok(roots) }
}

fn system_roots() -> Result<Vec<Root>, RootCertError> {
    // A system's store may hold certificates that cannot be read here; those that can are enough.
    let roots: Vec<Root> = rustls_native_certs::load_native_certs().certs.into_iter().filter_map(Root::from_der).collect();
    if roots.is_empty() { Err(RootCertError::SystemEmpty) } else { Ok(roots) }
}

fn client_identity(chain: &str, key: &Secret<String>) -> Result<CertifiedKey, TlsSettingsError> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().map_err(|_| ClientCertError::Damaged)?;
    let own = chain.first().ok_or(ClientCertError::Empty)?;
    // Not rustls' own comparison: it cannot read certificates of X.509 version 1, which openssl makes unless told otherwise.
    let (_, parsed) = X509Certificate::from_der(own).map_err(|_| ClientCertError::NotACertificate)?;
    let public_key = parsed.public_key().raw.to_vec();

    let pem = key.expose();
    let encrypted = pem.contains("BEGIN ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED");
    let der = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(_) | Err(pem::Error::NoItemsFound | pem::Error::Base64Decode(_)) if encrypted => return Err(ClientKeyError::Encrypted.into()),
        Ok(der) => der,
        Err(_) => return Err(ClientKeyError::NotAKey.into()),
    };
    let key = ring::default_provider().key_provider.load_private_key(der).map_err(|_| ClientKeyError::Unsupported)?;
    match key.public_key() {
        Some(of_key) if of_key.as_ref() == public_key => Ok(CertifiedKey::new(chain, key)),
        _ => Err(ClientKeyError::Mismatch.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::testing::{Authority, pem};

    #[test]
    fn p256_is_offered_first_and_nothing_is_lost() {
        let names: Vec<NamedGroup> = provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(names.first(), Some(&NamedGroup::secp256r1));
        assert_eq!(names.len(), ring::default_provider().kx_groups.len());
    }

    #[test]
    fn the_roots_decide_what_is_checked() {
        let root = Authority::new("root").pem();
        let demand = |mode, roots| TlsSettings::new(mode, roots, None).map(|settings| settings.demand);
        assert_eq!(demand(SslMode::Require, None), Ok(Demand::Nothing));
        assert_eq!(demand(SslMode::Require, Some(root.as_str())), Ok(Demand::Chain));
        assert_eq!(demand(SslMode::Prefer, Some(root.as_str())), Ok(Demand::Chain));
        assert_eq!(demand(SslMode::VerifyCa, Some(root.as_str())), Ok(Demand::Chain));
        assert_eq!(demand(SslMode::VerifyFull, Some(root.as_str())), Ok(Demand::Host));
        for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
            assert_eq!(demand(mode, None), Err(TlsSettingsError::RootCertMissing));
        }
        for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::Disable] {
            assert_eq!(demand(mode, Some("system")), Err(RootCertError::SystemNeedsVerifyFull.into()), "{mode}");
        }
    }

    #[test]
    fn an_unreadable_root_is_named_by_its_number() {
        let root = Authority::new("root").pem();
        let error = |text: &str| TlsSettings::new(SslMode::VerifyFull, Some(text), None).unwrap_err();
        assert_eq!(error(""), RootCertError::Empty.into());
        assert_eq!(error("ssh-ed25519 AAAA"), RootCertError::Empty.into());
        assert_eq!(error(&format!("{root}{}", pem("CERTIFICATE", b"junk"))), RootCertError::NotACertificate { number: 2 }.into());
        assert_eq!(error(&format!("{root}-----BEGIN CERTIFICATE-----\nAAAA\n")), RootCertError::Damaged { number: 2 }.into());
    }

    #[test]
    fn a_client_key_has_to_be_plain_and_its_certificates_own() {
        let authority = Authority::new("root");
        let one = authority.client("one");
        let other = authority.client("other");
        let new = |chain: &str, key: &str| {
            TlsSettings::new(SslMode::Require, None, Some((chain, &Secret::from(key)))).map(|settings| settings.client.is_some())
        };
        assert_eq!(new(&one.pem(), &one.key_pem()), Ok(true));
        assert_eq!(new(&authority.version_1("one").pem(), &one.key_pem()), Err(ClientKeyError::Mismatch.into()));
        let old = authority.version_1("old");
        assert_eq!(new(&old.pem(), &old.key_pem()), Ok(true));
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
        let settings = TlsSettings::new(SslMode::Require, None, Some((&client.pem(), &Secret::from(client.key_pem())))).unwrap();
        assert_eq!(format!("{settings:?}"), "TlsSettings { mode: Require, roots: 0, .. }");
    }
}
