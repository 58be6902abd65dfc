//! When the second try is due that `allow` and `prefer` have.

use crate::tls::HandshakeError;

use super::error::{Error, LoginError, TlsError};
use super::sslmode::{Encryption, SslMode};

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
        // What speaks no TLS at all, or nothing, is no better in the clear.
        TlsError::Handshake(HandshakeError::NotTls { .. } | HandshakeError::Flood | HandshakeError::Silent) => false,
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
