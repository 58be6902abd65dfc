//! Certificates and servers for the tests of this room and of those that use it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, PublicKeyData, SanType, SigningKey};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{NamedGroup, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// PEM by hand.
pub(crate) fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

/// A certificate authority.
pub(crate) struct Authority {
    name: String,
    params: CertificateParams,
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

/// A certificate, what has to be sent with it, and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Identity {
    pub(crate) fn pem(&self) -> String {
        self.chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect()
    }

    pub(crate) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    pub(crate) fn server(&self, version: &'static SupportedProtocolVersion, clients: Option<&Authority>) -> Arc<ServerConfig> {
        // Only this group, as Postgres up to 17 unless told otherwise.
        let mut provider = ring::default_provider();
        provider.kx_groups.retain(|group| group.name() == NamedGroup::secp256r1);
        let provider = Arc::new(provider);
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let identity = CertifiedKey::new(self.chain.clone(), key);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[version]).unwrap();
        let builder = match clients {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).unwrap();
                builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity))))
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    pub(crate) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { name: name.to_owned(), params, key, certificate }
    }

    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// An authority under this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        let params = authority_params(name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer()).unwrap().der().clone();
        Self { name: name.to_owned(), params, key, certificate }
    }

    /// A server's certificate for these names and addresses.
    pub(crate) fn server(&self, names: &[&str]) -> Identity {
        self.server_with(names, |_| {})
    }

    pub(crate) fn server_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "a server");
        for name in names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().unwrap()),
            });
        }
        change(&mut params);
        self.sign(&params)
    }

    pub(crate) fn client(&self, name: &str) -> Identity {
        self.server_with(&[], |params| params.distinguished_name.push(DnType::CommonName, name))
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer()).unwrap();
        Identity { chain: vec![certificate.der().clone()], key: key.serialize_der() }
    }

    /// The same identity with this authority's certificate sent along.
    pub(crate) fn sent_along(&self, mut identity: Identity) -> Identity {
        identity.chain.push(self.certificate.clone());
        identity
    }

    /// X.509 version 1, as `openssl x509 -req` makes it.
    pub(crate) fn version_1(&self, common_name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = version_1(&self.name, common_name, &key, &self.key);
        Identity { chain: vec![certificate], key: key.serialize_der() }
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// `openssl req -x509`: signed by itself, and an authority.
pub(crate) fn self_signed(name: &str) -> Identity {
    let mut params = authority_params(name);
    params.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { chain: vec![certificate.der().clone()], key: key.serialize_der() }
}

/// A critical extension that nobody knows.
pub(crate) fn odd_extension() -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(true);
    extension
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
            out.extend([0x82, high, low]);
        }
    }
    out.extend(content);
    out
}

/// ecdsa-with-SHA256 (RFC 5758).
const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

fn version_1(issuer: &str, subject: &str, key: &KeyPair, issuer_key: &KeyPair) -> CertificateDer<'static> {
    let name = |text: &str| {
        let attribute = [der(0x06, &[0x55, 0x04, 0x03]), der(0x0c, text.as_bytes())].concat();
        der(0x30, &der(0x31, &der(0x30, &attribute)))
    };
    let validity = der(0x30, &[der(0x17, b"200101000000Z"), der(0x17, b"491231235959Z")].concat());
    let tbs = [der(0x02, &[1]), ECDSA_SHA256.to_vec(), name(issuer), validity, name(subject), key.subject_public_key_info()];
    let tbs = der(0x30, &tbs.concat());
    let signature = issuer_key.sign(&tbs).unwrap();
    let bits = der(0x03, &[&[0][..], &signature].concat());
    CertificateDer::from(der(0x30, &[tbs, ECDSA_SHA256.to_vec(), bits].concat()))
}
