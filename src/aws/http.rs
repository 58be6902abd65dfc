//! The HTTP client under Amazon's clients: ring for TLS, the machine's authorities, the environment's proxy.

use std::sync::{Arc, OnceLock};

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tracing::warn;

use super::log::Logged;

/// More authorities, PEM, as the AWS CLI takes them: for a proxy that opens TLS.
const AUTHORITIES: &str = "AWS_CA_BUNDLE";

/// The longest such file that is read: the whole of Mozilla's list takes 220 kB.
const LONGEST_AUTHORITIES: u64 = 4 << 20;

/// One pool of connections for all clients, made when the first call is: loading the authorities takes some milliseconds.
pub(super) fn client() -> SharedHttpClient {
    let pool: Arc<OnceLock<SharedHttpConnector>> = Arc::default();
    http_client_fn(move |settings, components| {
        pool.get_or_init(|| {
            let builder = Connector::builder().connector_settings(settings.clone());
            let builder = match components.sleep_impl() {
                Some(sleep) => builder.sleep_impl(sleep),
                None => builder,
            };
            connector(builder)
        })
        .clone()
    })
}

/// One connector, for what is no client of Amazon's.
pub(super) fn alone() -> SharedHttpConnector {
    connector(Connector::builder())
}

fn connector(builder: ConnectorBuilder) -> SharedHttpConnector {
    let builder = builder.proxy_config(ProxyConfig::from_env()).tls_provider(Provider::Rustls(CryptoMode::Ring));
    let connector = SharedHttpConnector::new(match TlsContext::builder().with_trust_store(trusted()).build() {
        Ok(context) => builder.tls_context(context).build(),
        Err(_) => builder.build(),
    });
    SharedHttpConnector::new(Logged(connector))
}

fn trusted() -> TrustStore {
    // The store panics over an empty list of the machine's, and over certificates that it cannot read.
    let native = !rustls_native_certs::load_native_certs().certs.is_empty();
    let store = TrustStore::empty().with_native_roots(native);
    match authorities() {
        Some(more) => store.with_pem_certificate(more),
        None => store,
    }
}

fn authorities() -> Option<Vec<u8>> {
    let path = std::env::var_os(AUTHORITIES).filter(|path| !path.is_empty())?;
    let readable = std::fs::metadata(&path).is_ok_and(|file| file.len() <= LONGEST_AUTHORITIES);
    let bundle = readable.then(|| std::fs::read(&path).ok()).flatten().filter(|bundle| usable(bundle));
    if bundle.is_none() {
        warn!(path = %path.display(), "{AUTHORITIES} names no file of PEM certificates: it is left out");
    }
    bundle
}

fn usable(bundle: &[u8]) -> bool {
    let mut store = RootCertStore::empty();
    let mut certificates = CertificateDer::pem_slice_iter(bundle);
    certificates.all(|certificate| certificate.is_ok_and(|certificate| store.add(certificate).is_ok())) && !store.is_empty()
}
