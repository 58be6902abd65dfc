//! The judge of a server's certificate that rustls asks in the handshake: takes what libpq takes, and remembers why it refused.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use super::error::CertificateProblem;
use super::issuer::{Judge, PublicKey, Root};
use super::peer_name;

/// How much of a certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Only that the server holds its key.
    Nothing,
    /// That it leads to a root.
    Chain,
    /// That it leads to a root and is for the host.
    Host,
}

/// The verifier for one handshake with one host.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) demand: Demand,
    pub(super) roots: Arc<[Root]>,
    /// Without a trailing dot.
    pub(super) host: String,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// rustls' own errors cannot carry a problem unharmed, so it waits here.
    pub(super) problem: Mutex<Option<CertificateProblem>>,
}

impl Verifier {
    /// The problem that ended the handshake, if a certificate did.
    pub(super) fn take_problem(&self) -> Option<CertificateProblem> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn refuse(&self, problem: CertificateProblem) -> rustls::Error {
        let error = match &problem {
            CertificateProblem::Expired => CertificateError::Expired,
            CertificateProblem::NotYetValid => CertificateError::NotValidYet,
            CertificateProblem::UnknownIssuer | CertificateProblem::RootExpired | CertificateProblem::NoRoot => {
                CertificateError::UnknownIssuer
            }
            CertificateProblem::WrongName { .. } => CertificateError::NotValidForName,
            CertificateProblem::BadSignature => CertificateError::BadSignature,
            _ => CertificateError::ApplicationVerificationFailure,
        };
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
        error.into()
    }

    fn judge(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], now: UnixTime) -> Result<(), CertificateProblem> {
        if self.demand == Demand::Nothing {
            return Ok(());
        }
        Judge { roots: &self.roots, algorithms: self.algorithms, now }.verify(leaf, intermediates)?;
        if self.demand == Demand::Chain {
            return Ok(());
        }
        let parsed = read(leaf)?;
        peer_name::verify(&parsed, &self.host).map_err(|names| CertificateProblem::WrongName { presented: names.0 })
    }

    fn proof(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        version: Handshake,
    ) -> Result<HandshakeSignatureValid, CertificateProblem> {
        let parsed = read(leaf)?;
        let key = parsed.public_key().raw;
        let answer = match version {
            // By the bare key: webpki does not read certificates of X.509 version 1.
            Handshake::Tls13 => verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key), signed, &self.algorithms),
            Handshake::Tls12 if parsed.version() == X509Version::V3 => verify_tls12_signature(message, leaf, signed, &self.algorithms),
            Handshake::Tls12 => return self.proof_by_bare_key(message, key, signed),
        };
        answer.map_err(|_| CertificateProblem::BadSignature)
    }

    fn proof_by_bare_key(
        &self,
        message: &[u8],
        key: &[u8],
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, CertificateProblem> {
        let key = PublicKey::from_spki(key).ok_or(CertificateProblem::BadSignature)?;
        let offered = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let mut fitting = offered.flat_map(|(_, algorithms)| *algorithms);
        let proven = fitting.any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == key.algorithm
                && algorithm.verify_signature(key.bits, message, signed.signature()).is_ok()
        });
        if proven { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateProblem::BadSignature) }
    }
}

#[derive(Clone, Copy)]
enum Handshake {
    Tls12,
    Tls13,
}

fn read<'a>(leaf: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, CertificateProblem> {
    X509Certificate::from_der(leaf).map(|(_, parsed)| parsed).map_err(|_| CertificateProblem::Unreadable)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.judge(end_entity, intermediates, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(problem) => Err(self.refuse(problem)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.proof(message, cert, dss, Handshake::Tls12).map_err(|problem| self.refuse(problem))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.proof(message, cert, dss, Handshake::Tls13).map_err(|problem| self.refuse(problem))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{DnType, ExtendedKeyUsagePurpose, date_time_ymd};
    use rustls::SupportedProtocolVersion;
    use rustls::version::{TLS12, TLS13};
    use tokio::io::AsyncReadExt;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::secret::Secret;
    use crate::tls::testing::{Authority, Identity, odd_extension, self_signed};
    use crate::tls::{Bounded, HandshakeError, Roots, Trust, connect};

    const HOST: &str = "db.internal";

    struct Try<'a> {
        server: &'a Identity,
        roots: Option<String>,
        demand: Demand,
        host: &'a str,
        version: &'static SupportedProtocolVersion,
    }

    impl Try<'_> {
        async fn run(&self) -> Result<String, HandshakeError> {
            let (ours, theirs) = tokio::io::duplex(16 * 1024);
            let config = self.server.server(self.version, None);
            let server = async move {
                // Refusing is the client's part here.
                if let Ok(mut stream) = TlsAcceptor::from(config).accept(theirs).await {
                    let _closed = stream.read(&mut [0]).await;
                }
            };
            let roots = self.roots.as_deref().map_or_else(Roots::default, |roots| Roots::from_pem(roots).unwrap());
            let trust = Trust::new(self.demand, roots, None);
            let host = self.host.parse().unwrap();
            let client = async {
                connect(Bounded::new(ours), &trust, &host, std::time::Duration::from_secs(10)).await.map(|secure| {
                    assert!(!secure.encrypted.cipher_suite.is_empty() && secure.channel_binding.is_some());
                    secure.encrypted.to_string()
                })
            };
            tokio::join!(client, server).0
        }
    }

    /// One certificate against each demand, in both versions of TLS.
    async fn table(server: &Identity, roots: &str, host: &str) -> [Result<(), HandshakeError>; 3] {
        let mut rows = Vec::new();
        for version in [&TLS12, &TLS13] {
            let mut row = Vec::new();
            for (demand, roots) in [(Demand::Nothing, None), (Demand::Chain, Some(roots)), (Demand::Host, Some(roots))] {
                row.push(Try { server, roots: roots.map(str::to_owned), demand, host, version }.run().await.map(drop));
            }
            rows.push(<[_; 3]>::try_from(row).unwrap());
        }
        let [old, new] = <[_; 2]>::try_from(rows).unwrap();
        assert_eq!(old, new, "TLS 1.2 and 1.3 answer alike");
        new
    }

    fn all(problem: CertificateProblem) -> [Result<(), HandshakeError>; 3] {
        let refused = Err(HandshakeError::Certificate(problem));
        [Ok(()), refused.clone(), refused]
    }

    fn name_only(presented: &[&str]) -> [Result<(), HandshakeError>; 3] {
        let presented = presented.iter().map(|name| (*name).to_owned()).collect();
        [Ok(()), Ok(()), Err(HandshakeError::Certificate(CertificateProblem::WrongName { presented }))]
    }

    const GOOD: [Result<(), HandshakeError>; 3] = [Ok(()), Ok(()), Ok(())];

    #[tokio::test]
    async fn names_are_verified_against_the_databases_host() {
        let authority = Authority::new("root");
        let roots = authority.pem();
        assert_eq!(table(&authority.server(&[HOST]), &roots, HOST).await, GOOD);
        assert_eq!(table(&authority.server(&[HOST]), &roots, "DB.internal.").await, GOOD);
        assert_eq!(table(&authority.server(&["*.internal"]), &roots, HOST).await, GOOD);
        assert_eq!(table(&authority.server(&["10.0.0.5"]), &roots, "10.0.0.5").await, GOOD);
        assert_eq!(table(&authority.server(&["other.internal"]), &roots, HOST).await, name_only(&["other.internal"]));
        assert_eq!(table(&authority.server(&["localhost"]), &roots, HOST).await, name_only(&["localhost"]));
        assert_eq!(table(&authority.server(&["10.0.0.5"]), &roots, "10.0.0.6").await, name_only(&["10.0.0.5"]));
        let common_name = authority.server_with(&[], |params| params.distinguished_name.push(DnType::CommonName, HOST));
        assert_eq!(table(&common_name, &roots, HOST).await, GOOD);
    }

    #[tokio::test]
    async fn chains_lead_to_a_root() {
        let authority = Authority::new("root");
        let stranger = Authority::new("stranger");
        let below = authority.below("middle");
        assert_eq!(table(&stranger.server(&[HOST]), &authority.pem(), HOST).await, all(CertificateProblem::UnknownIssuer));
        assert_eq!(table(&below.server(&[HOST]), &authority.pem(), HOST).await, all(CertificateProblem::UnknownIssuer));
        assert_eq!(table(&below.sent_along(below.server(&[HOST])), &authority.pem(), HOST).await, GOOD);
        let both = format!("{}{}", stranger.pem(), authority.pem());
        assert_eq!(table(&authority.server(&[HOST]), &both, HOST).await, GOOD);
        let forger = Authority::new("root");
        assert_eq!(table(&forger.version_1(HOST), &authority.pem(), HOST).await, all(CertificateProblem::BadSignature));
    }

    /// As libpq and OpenSSL have it; who uses the connection later would fail.
    #[tokio::test]
    async fn a_chain_ends_at_a_root_and_nowhere_else() {
        let authority = Authority::new("root");
        let below = authority.below("middle");
        let server = below.sent_along(below.server(&[HOST]));
        assert_eq!(table(&server, &below.pem(), HOST).await, all(CertificateProblem::NoRoot));
        assert_eq!(table(&server, &format!("{}{}", below.pem(), authority.pem()), HOST).await, GOOD);
        // What stands in the bundle need not be sent.
        assert_eq!(table(&below.server(&[HOST]), &format!("{}{}", below.pem(), authority.pem()), HOST).await, GOOD);
        let leaf = authority.server(&[HOST]);
        assert_eq!(table(&leaf, &leaf.pem(), HOST).await, all(CertificateProblem::NoRoot));
        let client_only = authority.server_with(&[HOST], |params| params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth));
        assert!(table(&client_only, &client_only.pem(), HOST).await[1].is_err());
    }

    #[tokio::test]
    async fn dates_count_for_leaf_and_root() {
        let authority = Authority::new("root");
        let expired = authority.server_with(&[HOST], |params| params.not_after = date_time_ymd(2020, 1, 1));
        assert_eq!(table(&expired, &authority.pem(), HOST).await, all(CertificateProblem::Expired));
        let early = authority.server_with(&[HOST], |params| params.not_before = date_time_ymd(3000, 1, 1));
        assert_eq!(table(&early, &authority.pem(), HOST).await, all(CertificateProblem::NotYetValid));
        let old = Authority::with("old", |params| params.not_after = date_time_ymd(2020, 1, 1));
        assert_eq!(table(&old.server(&[HOST]), &old.pem(), HOST).await, all(CertificateProblem::RootExpired));
    }

    #[tokio::test]
    async fn what_webpki_refuses_and_libpq_takes_is_taken() {
        let alone = self_signed(HOST);
        assert_eq!(table(&alone, &alone.pem(), HOST).await, GOOD);
        assert_eq!(table(&alone, &alone.pem(), "other").await, name_only(&[HOST]));
        assert_eq!(table(&alone, &Authority::new("root").pem(), HOST).await, all(CertificateProblem::UnknownIssuer));

        let authority = Authority::new("root");
        assert_eq!(table(&authority.version_1(HOST), &authority.pem(), HOST).await, GOOD);
        assert_eq!(table(&authority.version_1("other"), &authority.pem(), HOST).await, name_only(&["other"]));
        assert_eq!(table(&authority.version_1(HOST), &Authority::new("other").pem(), HOST).await, all(CertificateProblem::UnknownIssuer));
        let below = authority.below("middle");
        assert_eq!(table(&below.sent_along(below.version_1(HOST)), &authority.pem(), HOST).await, GOOD);

        let marked = authority.server_with(&[HOST], |params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0)));
        assert_eq!(table(&marked, &authority.pem(), HOST).await, GOOD);
    }

    #[tokio::test]
    async fn the_walk_refuses_what_it_does_not_understand() {
        let authority = Authority::new("root");
        let refused = |server: Identity| {
            let roots = authority.pem();
            async move { Try { server: &server, roots: Some(roots), demand: Demand::Chain, host: HOST, version: &TLS13 }.run().await }
        };
        let marked = |change: fn(&mut rcgen::CertificateParams)| {
            authority.server_with(&[HOST], |params| {
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                change(params);
            })
        };
        let odd = refused(marked(|params| params.custom_extensions.push(odd_extension()))).await;
        assert!(matches!(odd, Err(HandshakeError::Certificate(CertificateProblem::UnknownExtension { .. }))), "{odd:?}");
        let client_only = refused(marked(|params| params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth))).await;
        assert_eq!(client_only, Err(HandshakeError::Certificate(CertificateProblem::NotForServers)));
        // A leaf that is no authority cannot vouch for another, whatever its name says.
        let leaf = authority.server_with(&[], |params| params.distinguished_name.push(DnType::CommonName, "middle"));
        let mut forged = Authority::new("middle").version_1(HOST);
        forged.chain.extend(leaf.chain);
        assert_eq!(refused(forged).await, Err(HandshakeError::Certificate(CertificateProblem::UnknownIssuer)));
    }

    #[tokio::test]
    async fn what_was_proven_is_noted() {
        let authority = Authority::new("root");
        let server = authority.server(&[HOST]);
        let note = |demand, roots, version| Try { server: &server, roots, demand, host: HOST, version };
        let roots = Some(authority.pem());
        assert_eq!(note(Demand::Nothing, None, &TLS13).run().await.unwrap(), "TLS 1.3, certificate not verified");
        assert_eq!(note(Demand::Chain, roots.clone(), &TLS12).run().await.unwrap(), "TLS 1.2, verified certificate authority");
        assert_eq!(note(Demand::Host, roots, &TLS13).run().await.unwrap(), "TLS 1.3, verified db.internal");
    }

    /// What a server that wants client certificates says to this client, in the handshake (TLS 1.2).
    async fn with_client(server: &Identity, wants: &Authority, client: Option<&Identity>) -> Result<(), HandshakeError> {
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        let config = server.server(&TLS12, Some(wants));
        let accept = async move { TlsAcceptor::from(config).accept(theirs).await.is_ok() };
        let client = client.map(|identity| crate::tls::Identity::from_pem(&identity.pem(), &Secret::from(identity.key_pem())).unwrap());
        let trust = Trust::new(Demand::Nothing, Roots::default(), client);
        let host = HOST.parse().unwrap();
        let connect = async { connect(Bounded::new(ours), &trust, &host, std::time::Duration::from_secs(10)).await.map(drop) };
        let (answer, accepted) = tokio::join!(connect, accept);
        assert_eq!(answer.is_ok(), accepted);
        answer
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown_and_its_refusal_is_heard() {
        let authority = Authority::new("root");
        let server = authority.server(&[HOST]);
        assert_eq!(with_client(&server, &authority, Some(&authority.client("me"))).await, Ok(()));
        for wrong in [None, Some(Authority::new("stranger").client("me"))] {
            let refused = with_client(&server, &authority, wrong.as_ref()).await;
            assert!(matches!(refused, Err(HandshakeError::ClientCertificateRefused { .. })), "{refused:?}");
        }
    }
}
