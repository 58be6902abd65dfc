//! TLS in which each side knows the other's one-off certificate beforehand: no authority, no names, one client.

use std::sync::Arc;

use p521::ecdsa::signature::Verifier as _;
use p521::ecdsa::{Signature, VerifyingKey};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, PrivatePkcs8KeyDer, SignatureVerificationAlgorithm, UnixTime, alg_id,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tokio_rustls::TlsAcceptor;

/// The name that Terraform's client expects in the certificate, whatever the address is.
const SERVER_NAME: &str = "localhost";

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum MutualTlsError {
    /// Terraform's variable does not hold a certificate.
    #[error("PLUGIN_CLIENT_CERT does not hold a certificate in PEM form")]
    ClientCertificate,
    /// The certificate for this run could not be made.
    #[error("could not make a certificate for the connection to Terraform: {0}")]
    OwnCertificate(#[from] rcgen::Error),
    /// The TLS library refuses the settings.
    #[error("could not set up TLS for the connection to Terraform: {0}")]
    Settings(#[from] rustls::Error),
}

/// The server's side.
pub struct MutualTls {
    /// Admits the one client.
    pub acceptor: TlsAcceptor,
    /// What the client has to be told, DER.
    pub certificate: Vec<u8>,
}

/// A fresh certificate for this process, and an acceptor that admits only the holder of `client_pem`.
///
/// # Errors
/// When `client_pem` is no certificate, or the libraries refuse.
pub fn mutual_tls(client_pem: &str) -> Result<MutualTls, MutualTlsError> {
    let client = CertificateDer::from_pem_slice(client_pem.as_bytes()).map_err(|_| MutualTlsError::ClientCertificate)?;
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let (certificate, key) = own_certificate()?;
    let verifier = OnlyThisClient { certificate: client, crypto: Arc::clone(&crypto) };
    let mut config = ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(vec![certificate.clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Terraform opens one connection in the life of a provider: nothing to resume.
    config.send_tls13_tickets = 0;
    Ok(MutualTls { acceptor: TlsAcceptor::from(Arc::new(config)), certificate: certificate.to_vec() })
}

fn own_certificate() -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, SERVER_NAME);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    Ok((certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der())))
}

/// Terraform's certificate calls itself an authority, so no ordinary verifier takes it; being the very certificate that was announced is
/// the stricter test anyway.
#[derive(Debug)]
struct OnlyThisClient {
    certificate: CertificateDer<'static>,
    crypto: Arc<CryptoProvider>,
}

impl ClientCertVerifier for OnlyThisClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        presented: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if presented.as_ref() == self.certificate.as_ref() {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, self.algorithms(signed.scheme))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, self.algorithms(signed.scheme))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = vec![SignatureScheme::ECDSA_NISTP521_SHA512];
        schemes.extend(self.crypto.signature_verification_algorithms.supported_schemes());
        schemes
    }
}

impl OnlyThisClient {
    fn algorithms(&self, scheme: SignatureScheme) -> &WebPkiSupportedAlgorithms {
        if scheme == SignatureScheme::ECDSA_NISTP521_SHA512 { &P521_ONLY } else { &self.crypto.signature_verification_algorithms }
    }
}

static P521_ONLY: WebPkiSupportedAlgorithms =
    WebPkiSupportedAlgorithms { all: &[&EcdsaP521], mapping: &[(SignatureScheme::ECDSA_NISTP521_SHA512, &[&EcdsaP521])] };

/// Terraform signs with P-521, which ring does not know.
#[derive(Debug)]
struct EcdsaP521;

impl SignatureVerificationAlgorithm for EcdsaP521 {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA512
    }

    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| InvalidSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_certificate_is_refused() {
        for text in ["", "hello", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(mutual_tls(text), Err(MutualTlsError::ClientCertificate)), "{text}");
        }
    }

    #[test]
    fn p521_signatures_are_checked() {
        use p521::ecdsa::SigningKey;
        use p521::ecdsa::signature::Signer as _;

        let mut scalar = [7_u8; 66];
        scalar[0] = 0;
        let key = SigningKey::from_slice(&scalar).unwrap();
        let public = key.verifying_key().to_sec1_point(false);
        let signature: Signature = key.sign(b"message");
        let der = signature.to_der();
        assert!(EcdsaP521.verify_signature(public.as_bytes(), b"message", der.as_bytes()).is_ok());
        assert!(EcdsaP521.verify_signature(public.as_bytes(), b"massage", der.as_bytes()).is_err());
        assert!(EcdsaP521.verify_signature(public.as_bytes(), b"message", &[0x30, 0]).is_err());
        assert!(EcdsaP521.verify_signature(&[4], b"message", der.as_bytes()).is_err());
    }
}
