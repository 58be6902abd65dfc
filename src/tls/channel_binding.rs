//! `tls-server-end-point` (RFC 5929, section 4.1): what ties a SCRAM login to the TLS connection that it runs in.

use ring::digest::{self, Algorithm, SHA256, SHA384, SHA512};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// SHA-224, which ring does not have and no certificate authority uses.
const SHA224: &str = "2.16.840.1.101.3.4.2.4";

/// The hash of a server's certificate (DER), by the hash of that certificate's own signature; SHA-256 in the place of MD5 and SHA-1.
/// `None` where the standard defines nothing (a signature without a hash, as Ed25519): the login is then bound to no channel.
pub(super) fn tls_server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = hash_of(&parsed)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

fn hash_of(certificate: &X509Certificate<'_>) -> Option<&'static Algorithm> {
    if let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(&certificate.signature_algorithm) {
        return match parameters.hash_algorithm_oid().to_id_string().as_str() {
            "2.16.840.1.101.3.4.2.2" => Some(&SHA384),
            "2.16.840.1.101.3.4.2.3" => Some(&SHA512),
            SHA224 => None,
            _ => Some(&SHA256),
        };
    }
    // RFC 8017, appendix C, and RFC 5758, section 3.2.
    match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => {
            Some(&SHA256)
        }
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(&SHA384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(&SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    #[test]
    fn the_hash_is_that_of_the_signature() {
        for (algorithm, hash) in [(&PKCS_ECDSA_P256_SHA256, Some(&SHA256)), (&PKCS_ECDSA_P384_SHA384, Some(&SHA384)), (&PKCS_ED25519, None)]
        {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = CertificateParams::new(["db".to_owned()]).unwrap().self_signed(&key).unwrap();
            let expected = hash.map(|hash| digest::digest(hash, certificate.der()).as_ref().to_vec());
            assert_eq!(tls_server_end_point(certificate.der()), expected);
        }
        assert_eq!(tls_server_end_point(b"not a certificate"), None);
    }
}
