//! TLS over any stream: what is trusted, the handshake, the judge of certificates. Whoever speaks a protocol inside it is next door.

mod bounded;
mod certificate;
mod channel_binding;
mod connect;
mod error;
mod issuer;
mod peer_name;
#[cfg(test)]
pub(crate) mod testing;
mod trust;

pub use bounded::{Bounded, is_flood};
pub use certificate::Demand;
pub use connect::{Encrypted, QUOTED, Secure, Verified, alert_name, concerns_client_certificate, connect, rest, tls_error};
pub use error::{CertificateProblem, ClientCertError, ClientKeyError, HandshakeError, IdentityError, ProtocolFault, RootCertError};
pub use trust::{Identity, Roots, Trust};
