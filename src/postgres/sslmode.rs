//! What `sslmode` means to libpq: which encryption is tried, in which order, and when the second try is due.

use std::fmt;
use std::str::FromStr;

use crate::tls::HandshakeError;

use super::error::{Error, LoginError, TlsError};

/// libpq's `sslmode`, with libpq's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// Without TLS first; with it if the server refuses.
    Allow,
    /// With TLS first; without it if that fails.
    Prefer,
    /// TLS, and no look at the certificate unless a root certificate is given.
    Require,
    /// TLS, and the certificate leads to a root certificate.
    VerifyCa,
    /// As `VerifyCa`, and the certificate names the database's host.
    VerifyFull,
}

/// The text names no `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sslmode is one of disable, allow, prefer, require, verify-ca, verify-full")]
pub struct UnknownSslMode;

/// How one try speaks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// In the clear.
    Plain,
    /// Inside TLS.
    Tls,
}

impl SslMode {
    /// All modes, from the weakest to the strictest.
    pub const ALL: [Self; 6] = [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The name users write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// What is tried, in this order. The second try is made only when [`falls_back`] says so.
    #[must_use]
    pub const fn encryptions(self) -> &'static [Encryption] {
        match self {
            Self::Disable => &[Encryption::Plain],
            Self::Allow => &[Encryption::Plain, Encryption::Tls],
            Self::Prefer => &[Encryption::Tls, Encryption::Plain],
            Self::Require | Self::VerifyCa | Self::VerifyFull => &[Encryption::Tls],
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for SslMode {
    type Err = UnknownSslMode;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or(UnknownSslMode)
    }
}

/// Which encryption a fresh connection tries next, after `tried` failed with `error`; `None` if `error` is the answer.
///
/// As libpq does, `prefer` goes on in the clear when TLS is not offered, when its handshake fails (an untrusted certificate
/// included) and when `pg_hba.conf` refuses; `allow` goes on with TLS when the server refuses a connection in the clear. Unlike
/// libpq, a wrong password is never sent a second time: accounts lock, and encryption cannot make a password right.
#[must_use]
pub const fn falls_back(mode: SslMode, tried: Encryption, error: &Error) -> Option<Encryption> {
    match (mode, tried, error) {
        (SslMode::Prefer, Encryption::Tls, Error::Tls(error)) if fails_only_with_tls(error) => Some(Encryption::Plain),
        (SslMode::Prefer, Encryption::Tls, Error::Login(error)) if refuses_the_encryption(error) => Some(Encryption::Plain),
        (SslMode::Allow, Encryption::Plain, Error::Login(error)) if refuses_the_encryption(error) => Some(Encryption::Tls),
        _ => None,
    }
}

const fn fails_only_with_tls(error: &TlsError) -> bool {
    match error {
        // What speaks no TLS at all is no better in the clear: it is no Postgres.
        TlsError::Handshake(HandshakeError::NotTls { .. } | HandshakeError::Flood) => false,
        TlsError::NotOffered | TlsError::Handshake(_) => true,
        // A peer that is silent, gone, flooding or no Postgres at all is no better in the clear.
        TlsError::Silent | TlsError::Closed | TlsError::NotPostgres { .. } | TlsError::ServerError { .. } | TlsError::Flood => false,
    }
}

const fn refuses_the_encryption(error: &LoginError) -> bool {
    matches!(
        error,
        LoginError::HbaNoEntry { .. }
            | LoginError::HbaRejected { .. }
            | LoginError::EncryptionRequired { .. }
            | LoginError::ClientCertificateMissing { .. }
            | LoginError::ClientCertificateRefused { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::heard::Heard;
    use crate::tls::CertificateProblem;

    #[test]
    fn names_are_libpqs_and_lead_back() {
        for mode in SslMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for wrong in ["", "Require", "verify_full", "on"] {
            assert_eq!(wrong.parse::<SslMode>(), Err(UnknownSslMode), "{wrong}");
        }
    }

    #[test]
    fn each_mode_tries_what_libpq_tries() {
        use Encryption::{Plain, Tls};
        let tried = SslMode::ALL.map(SslMode::encryptions);
        assert_eq!(tried, [&[Plain][..], &[Plain, Tls], &[Tls, Plain], &[Tls], &[Tls], &[Tls]]);
    }

    #[test]
    fn only_what_encryption_can_change_is_tried_again() {
        use Encryption::{Plain, Tls};
        let heard = Heard::from_text("words");
        let hba = |tried| Error::Login(LoginError::HbaNoEntry { tried, heard: heard.clone() });
        let untrusted = Error::Tls(HandshakeError::Certificate(CertificateProblem::UnknownIssuer).into());
        let password = Error::Login(LoginError::PasswordRefused { heard: heard.clone() });

        assert_eq!(falls_back(SslMode::Prefer, Tls, &Error::Tls(TlsError::NotOffered)), Some(Plain));
        assert_eq!(falls_back(SslMode::Prefer, Tls, &untrusted), Some(Plain));
        assert_eq!(falls_back(SslMode::Prefer, Tls, &hba(Tls)), Some(Plain));
        assert_eq!(falls_back(SslMode::Allow, Plain, &hba(Plain)), Some(Tls));

        for mode in SslMode::ALL {
            for tried in [Plain, Tls] {
                assert_eq!(falls_back(mode, tried, &password), None, "{mode}: a password is never tried twice");
                assert_eq!(falls_back(mode, tried, &Error::Tls(TlsError::Silent)), None, "{mode}");
            }
        }
        for strict in [SslMode::Disable, SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
            for tried in [Plain, Tls] {
                assert_eq!(falls_back(strict, tried, &hba(tried)), None, "{strict}");
                assert_eq!(falls_back(strict, tried, &untrusted), None, "{strict}");
            }
        }
        assert_eq!(falls_back(SslMode::Prefer, Plain, &hba(Plain)), None, "the second try is the last");
        assert_eq!(falls_back(SslMode::Allow, Tls, &hba(Tls)), None, "the second try is the last");
    }
}
