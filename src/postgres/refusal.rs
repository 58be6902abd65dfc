//! Says who refused a login and why, from the SQLSTATE, the routine and the words of the server.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::DbError;

use crate::path::heard::Heard;
use crate::path::stage::Stage;
use crate::secret::Secret;
use crate::tls::{ProtocolFault, alert_name, concerns_client_certificate, is_flood, tls_error};

use super::error::{LoginError, ReadyError};
use super::sslmode::Encryption;
use super::watched::Seen;

/// The length of every SQLSTATE (Postgres' appendix A); a hostile server may send more.
const SQLSTATE_LENGTH: usize = 5;

/// The tag, the length and the code of a message about authentication (protocol-message-formats).
const ASKS: usize = 9;

/// Where a login stood when it failed.
pub(super) struct Attempt<'a> {
    pub(super) seen: &'a Seen,
    pub(super) tried: Encryption,
    pub(super) password: Option<&'a Secret<String>>,
}

impl Attempt<'_> {
    /// What the driver's error means.
    pub(super) fn refusal(&self, error: &tokio_postgres::Error) -> LoginError {
        if let Some(refused) = error.as_db_error() {
            return self.by_server(refused);
        }
        if self.is_foreign() {
            // It was never a Postgres, however it went away.
            return self.garbage();
        }
        if error.is_closed() {
            return LoginError::Closed { stage: self.stage() };
        }
        if let Some(error) = error.source().and_then(|cause| cause.downcast_ref::<io::Error>())
            && let Some(refusal) = self.by_stream(error)
        {
            return refusal;
        }
        self.by_kind(error)
    }

    /// The driver keeps its kinds to itself; their texts are all that tells them apart, and are never what is told. The tests hold them to the
    /// pinned version.
    fn by_kind(&self, error: &tokio_postgres::Error) -> LoginError {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        match (error.to_string().as_str(), cause.as_str()) {
            ("invalid configuration", "password missing") => LoginError::PasswordMissing { asked: self.asked() },
            ("error encoding message to server", _) => LoginError::Unsendable,
            ("authentication error", "SCRAM verification error") => LoginError::ServerUnproven,
            ("authentication error", cause) if cause.starts_with("unsupported") => {
                LoginError::AuthenticationUnsupported { heard: self.asked() }
            }
            ("authentication error", "SCRAM iteration count exceeds the maximum allowed") => {
                LoginError::AuthenticationUnsupported { heard: Heard::from_text("more SCRAM iterations than are taken here") }
            }
            ("authentication error", cause) => match cause.strip_prefix("SCRAM error: ") {
                // The server's own words (RFC 5802, 7, server-error-value).
                Some(said) if said.contains("channel-binding") => LoginError::ChannelBinding { heard: self.quote(said) },
                Some(said) => LoginError::Protocol { stage: Stage::Login, heard: self.quote(said) },
                None => LoginError::Protocol { stage: Stage::Login, heard: Heard::from_text("a SCRAM message that does not fit") },
            },
            _ => self.garbage(),
        }
    }

    /// What it means that the time is over.
    pub(super) fn silence(&self) -> LoginError {
        if self.is_foreign() {
            return self.garbage();
        }
        LoginError::Silent { stage: self.stage() }
    }

    /// How far the login has come. Where nobody was asked for TLS, a peer that has said nothing yet may be anything.
    fn stage(&self) -> Stage {
        if self.seen.messages == 0 && self.tried == Encryption::Plain { Stage::Tls } else { self.seen.stage() }
    }

    /// Whether something was said, and no message of Postgres.
    fn is_foreign(&self) -> bool {
        self.seen.messages == 0 && !self.seen.opening.is_empty()
    }

    fn by_stream(&self, error: &io::Error) -> Option<LoginError> {
        if is_flood(error) {
            return Some(LoginError::Flood);
        }
        match tls_error(error) {
            Some(rustls::Error::AlertReceived(alert)) if concerns_client_certificate(*alert) => {
                return Some(LoginError::ClientCertificateRefused { heard: alert_name(*alert) });
            }
            Some(other) => {
                let heard = Heard::from_text(&ProtocolFault::from(other).to_string());
                return Some(LoginError::Protocol { stage: self.stage(), heard });
            }
            None => {}
        }
        let broken = matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected
        );
        (broken || self.seen.ended).then(|| LoginError::Closed { stage: self.stage() })
    }

    fn garbage(&self) -> LoginError {
        let heard = self.quote(&String::from_utf8_lossy(&self.seen.opening));
        LoginError::Protocol { stage: self.stage(), heard }
    }

    /// How the server wants to know who is there, as the protocol names it.
    fn asked(&self) -> Heard {
        let method = match self.seen.opening.split_at_checked(ASKS) {
            Some(([.., 0, 0, 0, 2], _)) => "AuthenticationKerberosV5".to_owned(),
            Some(([.., 0, 0, 0, 3], _)) => "AuthenticationCleartextPassword".to_owned(),
            Some(([.., 0, 0, 0, 5], _)) => "AuthenticationMD5Password".to_owned(),
            Some(([.., 0, 0, 0, 7], _)) => "AuthenticationGSS".to_owned(),
            Some(([.., 0, 0, 0, 9], _)) => "AuthenticationSSPI".to_owned(),
            Some(([.., 0, 0, 0, 10], mechanisms)) => {
                let name = mechanisms.split(|byte| *byte == 0).next().unwrap_or_default();
                String::from_utf8_lossy(name).into_owned()
            }
            _ => String::new(),
        };
        self.quote(&method)
    }

    fn quote(&self, text: &str) -> Heard {
        quote(text, self.password)
    }

    fn by_server(&self, refused: &DbError) -> LoginError {
        let heard = self.quote(refused.message());
        let text = refused.message();
        match refused.code().code() {
            // SCRAM had come to its end, so the password was right: it is the certificate that is for somebody else (clientcert=verify-full
            // says so in the words of a wrong password).
            "28P01" if self.seen.password_confirmed && self.tried == Encryption::Tls => LoginError::ClientCertificateRefused { heard },
            "28P01" => LoginError::PasswordRefused { heard },
            "28000" => self.not_authorised(refused, heard),
            "3D000" => LoginError::DatabaseMissing { heard },
            "42501" => LoginError::NoConnectPrivilege { heard },
            "55000" => LoginError::DatabaseClosed { heard },
            "53300" => LoginError::TooManyConnections { heard },
            "57P03" | "57P02" | "57P01" => LoginError::Unavailable { heard },
            "08P01" if refused.routine().is_none() => by_pooler(text, heard),
            other => LoginError::Other { sqlstate: sqlstate(other), heard },
        }
    }

    /// 28000 covers a dozen causes, told apart by words and by the routine, which is the same in every language.
    fn not_authorised(&self, refused: &DbError, heard: Heard) -> LoginError {
        let (text, tried) = (refused.message(), self.tried);
        let says = |words: &str| text.contains(words);
        if says("no pg_hba.conf entry") {
            return LoginError::HbaNoEntry { tried, heard };
        }
        if says("pg_hba.conf rejects") || says("host rejected") {
            return LoginError::HbaRejected { tried, heard };
        }
        if says("valid client certificate") {
            return LoginError::ClientCertificateMissing { heard };
        }
        if says("channel binding") {
            return LoginError::ChannelBinding { heard };
        }
        if says("is not permitted to log in") {
            return LoginError::NotPermittedToLogin { heard };
        }
        if says("role ") && says("does not exist") {
            return LoginError::RoleMissing { heard };
        }
        if says("ertificate authentication failed") {
            return LoginError::ClientCertificateRefused { heard };
        }
        if ["LDAP ", "PAM ", "RADIUS ", "BSD "].iter().any(|method| says(&format!("{method}authentication failed"))) {
            return LoginError::PasswordRefused { heard };
        }
        if ["GSSAPI ", "SSPI ", "Ident ", "Peer ", "OAuth "].iter().any(|method| says(&format!("{method}authentication failed"))) {
            return LoginError::AuthenticationUnsupported { heard };
        }
        if wants_encryption(text) {
            return LoginError::EncryptionRequired { heard };
        }
        // A server that speaks another language: of what this routine says, only the certificate's line does not name the file.
        match refused.routine() {
            Some("ClientAuthentication") if says("pg_hba.conf") => LoginError::HbaNoEntry { tried, heard },
            Some("ClientAuthentication") => LoginError::ClientCertificateMissing { heard },
            _ => LoginError::Other { sqlstate: "28000".to_owned(), heard },
        }
    }
}

/// pgbouncer's words (client.c, objects.c), which carry no code of their own.
fn by_pooler(text: &str, heard: Heard) -> LoginError {
    if text.starts_with("no such database") {
        return LoginError::DatabaseMissing { heard };
    }
    if text.contains("authentication failed") || text.starts_with("no such user") {
        return LoginError::PasswordRefused { heard };
    }
    if wants_encryption(text) {
        return LoginError::EncryptionRequired { heard };
    }
    LoginError::Pooler { heard }
}

/// What poolers and hosting services say to a connection in the clear: "SSL required", "SSL connection is required".
fn wants_encryption(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    (text.contains("ssl") || text.contains("tls")) && text.contains("required") || text.contains("sslmode=require")
}

/// A SQLSTATE, bounded.
pub(super) fn sqlstate(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).take(SQLSTATE_LENGTH).collect()
}

/// Quotes the server without the password, which a hostile one could echo.
pub(super) fn quote(text: &str, password: Option<&Secret<String>>) -> Heard {
    password.map_or_else(|| Heard::from_text(text), |password| Heard::without(text, password.expose()))
}

/// What the driver's error means, in a question or between two.
pub(super) fn misread(error: &tokio_postgres::Error, password: Option<&Secret<String>>) -> ReadyError {
    if let Some(refused) = error.as_db_error() {
        return match refused.code().code() {
            // The server, or its administrator, ends the session: what was asked is not at fault.
            "57P01" | "57P02" | "57P05" => ReadyError::Closed,
            code => ReadyError::Refused { sqlstate: sqlstate(code), heard: quote(refused.message(), password) },
        };
    }
    if error.is_closed() {
        return ReadyError::Closed;
    }
    match error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
        Some(cause) if is_flood(cause) => ReadyError::Flood,
        Some(cause) if is_of_stream(error, cause) => ReadyError::Closed,
        _ => ReadyError::Protocol,
    }
}

/// Whether the stream broke, rather than what came over it: the driver's text is all that tells its kinds apart.
fn is_of_stream(error: &tokio_postgres::Error, cause: &io::Error) -> bool {
    error.to_string() == "error communicating with the server"
        && !matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlstate_is_bounded() {
        assert_eq!(sqlstate("28P01"), "28P01");
        assert_eq!(sqlstate("\x1b[2J28P01 and more"), "2J28P");
    }

    #[test]
    fn demands_for_tls_are_told() {
        for text in ["SSL required", "SSL connection is required. Please specify SSL options and retry.", "try using `sslmode=require`"] {
            assert!(wants_encryption(text), "{text}");
        }
        for text in ["password required", "no such user", "ssl error"] {
            assert!(!wants_encryption(text), "{text}");
        }
    }
}
