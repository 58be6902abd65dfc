//! Whether a server's certificate leads to a root: webpki's answer, and libpq's where webpki does not look.
//!
//! webpki refuses three certificates that libpq takes and that are common on self-made servers: a self-signed one (`openssl req -x509`
//! marks it as an authority) given as its own root, one that is an authority and issued by another, and X.509 version 1 (`openssl x509
//! -req` without extensions). For those there is a walk of our own here; what it does not understand, it refuses.

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate, X509Version};

use super::error::CertificateProblem;

/// How many issuers the walk climbs before it gives up: webpki's own limit on intermediates is six.
const MOST_ISSUERS: usize = 6;

/// A root certificate. Unlike webpki, libpq minds its dates.
#[derive(Clone, Debug)]
pub(super) struct Root {
    der: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    not_before: i64,
    not_after: i64,
    /// Whether it has signed itself. OpenSSL ends a chain at no other, whoever gave it.
    signs_itself: bool,
}

impl Root {
    /// Reads a root from DER; `None` if it is not an X.509 certificate.
    pub(super) fn from_der(der: CertificateDer<'static>) -> Option<Self> {
        let mut store = RootCertStore::empty();
        store.add(der.clone()).ok()?;
        let anchor = store.roots.pop()?;
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let (not_before, not_after) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        let signs_itself = parsed.subject().as_raw() == parsed.issuer().as_raw()
            && signed(&parsed, parsed.public_key().raw, &ring::default_provider().signature_verification_algorithms);
        Some(Self { der, anchor, not_before, not_after, signs_itself })
    }

    const fn is_current(&self, now: i64) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// What a chain is judged by.
pub(super) struct Judge<'a> {
    pub(super) roots: &'a [Root],
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) now: UnixTime,
}

impl Judge<'_> {
    /// Checks that `leaf` leads to a root, by way of any of `intermediates`.
    pub(super) fn verify(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), CertificateProblem> {
        let (anchors, others): (Vec<&Root>, Vec<&Root>) = self.roots.iter().partition(|root| root.signs_itself);
        // What is given and signed by another may stand in the midst of a chain, as OpenSSL has it.
        let chain: Vec<_> = intermediates.iter().chain(others.iter().map(|other| &other.der)).cloned().collect();
        let answer = self.verify_with(&anchors, leaf, &chain);
        if answer == Err(CertificateProblem::UnknownIssuer) && self.verify_with(&others, leaf, intermediates).is_ok() {
            return Err(CertificateProblem::NoRoot);
        }
        answer
    }

    fn verify_with(
        &self,
        roots: &[&Root],
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), CertificateProblem> {
        let (current, outdated): (Vec<&Root>, Vec<&Root>) = roots.iter().copied().partition(|root| root.is_current(self.seconds()));
        let answer = self.leads_to(&current, leaf, intermediates);
        // Says which of the two it is, a root that is missing or one that is out of date: the remedies differ.
        if answer != Err(CertificateProblem::UnknownIssuer) || self.leads_to(&outdated, leaf, intermediates).is_err() {
            return answer;
        }
        let expired = outdated.iter().any(|root| root.not_after < self.seconds());
        Err(if expired { CertificateProblem::RootExpired } else { CertificateProblem::NotYetValid })
    }

    fn seconds(&self) -> i64 {
        i64::try_from(self.now.as_secs()).unwrap_or(i64::MAX)
    }

    fn leads_to(&self, roots: &[&Root], leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), CertificateProblem> {
        let parsed = parse(leaf)?;
        if roots.iter().any(|root| root.der == *leaf) {
            return if serves(&parsed) { self.in_time(&parsed) } else { Err(CertificateProblem::NotForServers) };
        }
        if parsed.version() != X509Version::V3 || parsed.is_ca() {
            return self.walk(roots, &parsed, intermediates);
        }
        let store = RootCertStore { roots: roots.iter().map(|root| root.anchor.clone()).collect() };
        let parsed = ParsedCertificate::try_from(leaf).map_err(|error| problem_of(&error))?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &store, intermediates, self.now, self.algorithms.all)
            .map_err(|error| problem_of(&error))
    }

    fn walk(&self, roots: &[&Root], leaf: &X509Certificate<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), CertificateProblem> {
        // What does not parse cannot be an issuer; it may as well not have been sent.
        let authorities: Vec<X509Certificate<'_>> =
            intermediates.iter().filter_map(|der| parse(der).ok()).filter(|authority| may_issue(authority)).collect();
        if !serves(leaf) {
            return Err(CertificateProblem::NotForServers);
        }
        let mut subject = leaf;
        let mut forged = false;
        for below in 0..=MOST_ISSUERS {
            self.in_time(subject)?;
            is_understood(subject)?;
            for root in roots {
                let parsed = parse(&root.der)?;
                if parsed.subject().as_raw() != subject.issuer().as_raw() || !admits(&parsed, below) {
                    continue;
                }
                if self.signed(subject, parsed.public_key().raw) {
                    return is_understood(&parsed);
                }
                forged = true;
            }
            let issuer = authorities.iter().find(|authority| {
                authority.subject().as_raw() == subject.issuer().as_raw()
                    && admits(authority, below)
                    && self.signed(subject, authority.public_key().raw)
            });
            let Some(issuer) = issuer else { break };
            subject = issuer;
        }
        Err(if forged { CertificateProblem::BadSignature } else { CertificateProblem::UnknownIssuer })
    }

    fn in_time(&self, certificate: &X509Certificate<'_>) -> Result<(), CertificateProblem> {
        if self.seconds() < certificate.validity().not_before.timestamp() {
            return Err(CertificateProblem::NotYetValid);
        }
        if self.seconds() > certificate.validity().not_after.timestamp() {
            return Err(CertificateProblem::Expired);
        }
        Ok(())
    }

    fn signed(&self, subject: &X509Certificate<'_>, issuer_key: &[u8]) -> bool {
        signed(subject, issuer_key, &self.algorithms)
    }
}

fn signed(subject: &X509Certificate<'_>, issuer_key: &[u8], algorithms: &WebPkiSupportedAlgorithms) -> bool {
    let Some(algorithm) = signature_algorithm(subject.as_raw()) else { return false };
    let Some(key) = PublicKey::from_spki(issuer_key) else { return false };
    algorithms.all.iter().any(|candidate| {
        candidate.signature_alg_id().as_ref() == algorithm
            && candidate.public_key_alg_id().as_ref() == key.algorithm
            && candidate.verify_signature(key.bits, subject.tbs_certificate.as_ref(), &subject.signature_value.data).is_ok()
    })
}

/// A certificate's public key, taken apart.
pub(super) struct PublicKey<'a> {
    /// What the algorithm identifier's SEQUENCE holds, as rustls compares it.
    pub(super) algorithm: &'a [u8],
    /// The key itself.
    pub(super) bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Reads a SubjectPublicKeyInfo (RFC 5280, section 4.1).
    pub(super) fn from_spki(spki: &'a [u8]) -> Option<Self> {
        let (outer, _) = element(spki)?;
        let (algorithm, rest) = element(outer)?;
        let (bits, _) = element(rest)?;
        // The first octet of a BIT STRING counts its unused bits; keys are whole octets.
        let (0, bits) = bits.split_first().map(|(unused, bits)| (*unused, bits))? else { return None };
        Some(Self { algorithm, bits })
    }
}

/// What the `signatureAlgorithm` SEQUENCE of a certificate holds.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (outer, _) = element(certificate)?;
    let (_, after_tbs) = element(outer)?;
    Some(element(after_tbs)?.0)
}

/// Splits one DER element off: its content, and what follows it. The parser has checked the structure before; this only finds the octets
/// that it does not keep.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if octets.len() > 3 {
            return None;
        }
        (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
    };
    rest.split_at_checked(length)
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, CertificateProblem> {
    X509Certificate::from_der(der).map(|(_, parsed)| parsed).map_err(|_| CertificateProblem::Unreadable)
}

fn may_issue(certificate: &X509Certificate<'_>) -> bool {
    certificate.is_ca() && certificate.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign())
}

fn serves(leaf: &X509Certificate<'_>) -> bool {
    match leaf.extended_key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.server_auth || usage.value.any),
        Err(_) => false,
    }
}

/// Whether an issuer may stand this many authorities above the leaf (`pathLenConstraint`).
fn admits(issuer: &X509Certificate<'_>, below: usize) -> bool {
    let limit = issuer.basic_constraints().ok().flatten().and_then(|constraints| constraints.value.path_len_constraint);
    limit.is_none_or(|limit| usize::try_from(limit).is_ok_and(|limit| below <= limit))
}

fn is_understood(certificate: &X509Certificate<'_>) -> Result<(), CertificateProblem> {
    let foreign = certificate.extensions().iter().find(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(_) => true,
        ParsedExtension::BasicConstraints(_)
        | ParsedExtension::KeyUsage(_)
        | ParsedExtension::ExtendedKeyUsage(_)
        | ParsedExtension::SubjectAlternativeName(_) => false,
        _ => extension.critical,
    });
    match foreign {
        Some(extension) => Err(CertificateProblem::UnknownExtension { oid: extension.oid.to_id_string() }),
        None => Ok(()),
    }
}

fn problem_of(error: &rustls::Error) -> CertificateProblem {
    match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateProblem::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
            CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
            CertificateError::BadSignature => CertificateProblem::BadSignature,
            CertificateError::BadEncoding => CertificateProblem::Unreadable,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => CertificateProblem::NotForServers,
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => CertificateProblem::UnsupportedSignature,
            _ => CertificateProblem::Refused,
        },
        _ => CertificateProblem::Refused,
    }
}
