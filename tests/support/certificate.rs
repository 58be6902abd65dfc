//! One-off client certificates as Terraform makes them: self-signed, P-521 with SHA-512, an authority by their own account.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p521::ecdsa::signature::Signer as _;
use p521::ecdsa::{Signature, SigningKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

/// A certificate and its key.
#[derive(Clone)]
pub struct Identity {
    pub der: Vec<u8>,
    key: Arc<SigningKey>,
}

impl Identity {
    /// A new one.
    pub fn generate() -> Self {
        let mut scalar = [0_u8; 66];
        SystemRandom::new().fill(&mut scalar[1..]).unwrap();
        let key = SigningKey::from_slice(&scalar).unwrap();
        let der = self_signed(&key);
        Self { der, key: Arc::new(key) }
    }

    /// As it stands in `PLUGIN_CLIENT_CERT`.
    pub fn pem(&self) -> String {
        let body = STANDARD.encode(&self.der);
        let lines = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
    let mut der = vec![tag];
    match (high, low) {
        (0, 0..=127) => der.push(low),
        (0, _) => der.extend([0x81, low]),
        _ => der.extend([0x82, high, low]),
    }
    der.extend(body);
    der
}

const SEQUENCE: u8 = 0x30;

fn self_signed(key: &SigningKey) -> Vec<u8> {
    let ecdsa_with_sha512 = element(SEQUENCE, &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"]);
    let p521 = element(SEQUENCE, &[b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", b"\x06\x05\x2b\x81\x04\x00\x23"]);
    let name = element(SEQUENCE, &[&element(0x31, &[&element(SEQUENCE, &[b"\x06\x03\x55\x04\x03", b"\x0c\x09localhost"])])]);
    let validity = element(SEQUENCE, &[&element(0x17, &[b"200101000000Z"]), &element(0x17, &[b"491231235959Z"])]);
    let point = key.verifying_key().to_sec1_point(false);
    let public_key = element(SEQUENCE, &[&p521, &element(0x03, &[&[0], point.as_bytes()])]);
    let authority =
        element(SEQUENCE, &[b"\x06\x03\x55\x1d\x13", b"\x01\x01\xff", &element(0x04, &[&element(SEQUENCE, &[b"\x01\x01\xff"])])]);
    let extensions = element(0xa3, &[&element(SEQUENCE, &[&authority])]);
    let version_3 = element(0xa0, &[b"\x02\x01\x02"]);
    let body = element(SEQUENCE, &[&version_3, b"\x02\x01\x01", &ecdsa_with_sha512, &name, &validity, &name, &public_key, &extensions]);
    let signature: Signature = key.sign(&body);
    element(SEQUENCE, &[&body, &ecdsa_with_sha512, &element(0x03, &[&[0], signature.to_der().as_bytes()])])
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let signer = Arc::new(P521Key(Arc::clone(&self.key)));
        Some(Arc::new(CertifiedKey::new(vec![CertificateDer::from(self.der.clone())], signer)))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Clone)]
struct P521Key(Arc<SigningKey>);

impl std::fmt::Debug for P521Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("P521Key")
    }
}

impl rustls::sign::SigningKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        let signer: Box<dyn rustls::sign::Signer> = Box::new(self.clone());
        offered.contains(&SignatureScheme::ECDSA_NISTP521_SHA512).then_some(signer)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl rustls::sign::Signer for P521Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signature: Signature = self.0.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}
