//! From what the rooms of Postgres and TLS report to a cause: one exhaustive match each.

use crate::path::cause::{Cause, Tried};
use crate::path::heard::Heard;
use crate::path::stage::Stage;
use crate::postgres::{self, Encryption, LoginError, ReadyError, TlsError};
use crate::tls::{self, CertificateProblem};
use crate::way::{Failure, Told};

/// A cause of which nothing was heard.
fn silent(cause: Cause) -> Told {
    (cause, Heard::default())
}

/// What Postgres's room reports.
pub(crate) fn of_postgres(error: postgres::Error) -> Told {
    match error {
        postgres::Error::Tls(error) => of_tls(error),
        postgres::Error::Login(error) => of_login(error),
        postgres::Error::Ready(error) => of_ready(error),
    }
}

/// As [`of_postgres`], of a server that was known for Postgres by another connection: its silence is that of a login.
pub(crate) fn of_known_postgres(error: postgres::Error) -> Told {
    match error {
        postgres::Error::Login(LoginError::Silent { .. }) => silent(Cause::LoginSilent),
        postgres::Error::Login(LoginError::Closed { .. }) => silent(Cause::LoginBroken),
        postgres::Error::Login(LoginError::Protocol { heard, .. }) => (Cause::LoginBroken, heard),
        error => of_postgres(error),
    }
}

fn of_tls(error: TlsError) -> Told {
    match error {
        TlsError::Silent => silent(Cause::PostgresSilent),
        TlsError::Closed => silent(Cause::DialClosed),
        TlsError::NotOffered => (Cause::TlsNotOffered, Heard::from_text("N")),
        TlsError::NotPostgres { heard } => (Cause::NotPostgres, heard),
        TlsError::ServerError { heard } => (Cause::TlsServerError, heard),
        TlsError::Handshake(error) => of_tls_handshake(error),
        TlsError::Flood => (Cause::NotPostgres, Heard::from_text("more than any Postgres sends")),
    }
}

/// What the handshake inside a stream reports, whoever speaks in it.
fn of_tls_handshake(error: tls::HandshakeError) -> Told {
    match error {
        tls::HandshakeError::NotTls { heard } => (Cause::NotPostgres, heard),
        tls::HandshakeError::Certificate(problem) => of_certificate(problem),
        tls::HandshakeError::ClientCertificateRefused { heard } => (Cause::ClientCertificateRefused, heard),
        tls::HandshakeError::Alert { heard } => (Cause::TlsFailed, heard),
        tls::HandshakeError::Failed(_) => silent(Cause::TlsFailed),
        tls::HandshakeError::Silent => silent(Cause::TlsSilent),
        tls::HandshakeError::Cut => silent(Cause::TlsFailed),
        tls::HandshakeError::Flood => (Cause::NotPostgres, Heard::from_text("more than any Postgres sends")),
    }
}

fn of_certificate(problem: CertificateProblem) -> Told {
    let heard = Heard::from_text(&problem.to_string());
    let cause = match problem {
        CertificateProblem::Expired | CertificateProblem::NotYetValid | CertificateProblem::RootExpired => Cause::CertificateExpired,
        CertificateProblem::UnknownIssuer => Cause::CertificateUnknownIssuer,
        CertificateProblem::NoRoot => Cause::CertificateNoRoot,
        CertificateProblem::WrongName { presented } if presented.is_empty() => {
            Cause::CertificateWrongName { presented: "no name at all".to_owned() }
        }
        CertificateProblem::WrongName { presented } => {
            Cause::CertificateWrongName { presented: Heard::from_text(&presented.join(", ")).to_string() }
        }
        CertificateProblem::BadSignature
        | CertificateProblem::Unreadable
        | CertificateProblem::NotForServers
        | CertificateProblem::UnknownExtension { .. }
        | CertificateProblem::UnsupportedSignature
        | CertificateProblem::Refused => Cause::CertificateBad,
    };
    (cause, heard)
}

fn of_login(error: LoginError) -> Told {
    match error {
        LoginError::PasswordRefused { heard } => (Cause::PasswordRefused, heard),
        LoginError::PasswordMissing { asked } => (Cause::PasswordMissing, asked),
        LoginError::RoleMissing { heard } => (Cause::RoleMissing, heard),
        LoginError::HbaNoEntry { tried, heard } => {
            let tried = if tried == Encryption::Tls { Tried::Tls } else { Tried::Plain };
            (Cause::NoHbaEntry { tried }, heard)
        }
        LoginError::HbaRejected { heard, .. } => (Cause::HbaRejects, heard),
        LoginError::EncryptionRequired { heard } => (Cause::EncryptionRequired, heard),
        LoginError::ClientCertificateMissing { heard } | LoginError::ClientCertificateRefused { heard } => {
            (Cause::ClientCertificateRefused, heard)
        }
        LoginError::NotPermittedToLogin { heard } => (Cause::LoginForbidden, heard),
        LoginError::DatabaseMissing { heard } => (Cause::DatabaseMissing, heard),
        LoginError::NoConnectPrivilege { heard } => (Cause::NoConnectPrivilege, heard),
        LoginError::DatabaseClosed { heard } => (Cause::DatabaseClosed, heard),
        LoginError::TooManyConnections { heard, .. } => (Cause::TooManyConnections, heard),
        LoginError::Unavailable { heard, .. } => (Cause::NotAccepting, heard),
        LoginError::AuthenticationUnsupported { heard } => (Cause::AuthenticationUnsupported, heard),
        LoginError::ChannelBinding { heard } => (Cause::ServerUnproven, heard),
        LoginError::ServerUnproven => silent(Cause::ServerUnproven),
        LoginError::Pooler { heard } => (Cause::Pooler, heard),
        LoginError::Protocol { stage: Stage::Tls, heard } => (Cause::NotPostgres, heard),
        LoginError::Closed { stage: Stage::Tls } => silent(Cause::DialClosed),
        LoginError::Silent { stage: Stage::Tls } => silent(Cause::PostgresSilent),
        LoginError::Protocol { heard, .. } => (Cause::LoginBroken, heard),
        LoginError::Flood => (Cause::LoginBroken, Heard::from_text("more than any Postgres sends")),
        LoginError::Unsendable => (Cause::LoginBroken, Heard::from_text("a NUL byte cannot be sent")),
        LoginError::Closed { .. } => silent(Cause::LoginBroken),
        LoginError::Silent { .. } => silent(Cause::LoginSilent),
        LoginError::Other { heard, .. } => (Cause::LoginRefused, heard),
    }
}

fn of_ready(error: ReadyError) -> Told {
    let heard = match error {
        ReadyError::Refused { heard, .. } => heard,
        ReadyError::Silent => Heard::default(),
        ReadyError::Closed | ReadyError::Protocol | ReadyError::Flood => Heard::from_text(&error.to_string()),
    };
    (Cause::ReadyFailed, heard)
}

/// What is told of two encryptions.
pub(crate) fn of_two(first: Failure, second: Failure) -> Failure {
    let without_tls = matches!((&first.cause, &second.cause), (Cause::TlsNotOffered, _) | (_, Cause::TlsNotOffered));
    let mut failure = if tells_more(&second, &first) { second } else { first };
    if let Cause::NoHbaEntry { tried: tried @ Tried::Plain } = &mut failure.cause
        && without_tls
    {
        *tried = Tried::PlainOnly;
    }
    failure
}

/// Whether the second of two encryptions came further than the first. "No pg_hba.conf entry" is the least that Postgres says.
fn tells_more(second: &Failure, first: &Failure) -> bool {
    let rank = |failure: &Failure| (failure.at, !matches!(failure.cause, Cause::NoHbaEntry { .. }));
    rank(second) > rank(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_lab_can_make_has_its_cause() {
        let heard = Heard::default;
        let reports = [
            (of_certificate(CertificateProblem::BadSignature), Cause::CertificateBad),
            (of_login(LoginError::EncryptionRequired { heard: heard() }), Cause::EncryptionRequired),
            (of_login(LoginError::ServerUnproven), Cause::ServerUnproven),
            (of_login(LoginError::ChannelBinding { heard: heard() }), Cause::ServerUnproven),
            (of_login(LoginError::AuthenticationUnsupported { heard: heard() }), Cause::AuthenticationUnsupported),
            (of_login(LoginError::Pooler { heard: heard() }), Cause::Pooler),
            (of_login(LoginError::Other { sqlstate: "XX000".into(), heard: heard() }), Cause::LoginRefused),
            (of_login(LoginError::PasswordRefused { heard: heard() }), Cause::PasswordRefused),
        ];
        for ((told, _), cause) in reports {
            assert_eq!(told, cause);
            assert!(!told.heals(), "{told:?}");
        }
    }
}
