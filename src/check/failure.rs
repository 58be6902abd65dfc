//! From what a peer's room reports to a cause: one exhaustive match a room.

use crate::path::cause::{Cause, Tried};
use crate::path::heard::Heard;
use crate::path::stage::Stage;
use crate::postgres::{self, Encryption, LoginError, ReadyError, TlsError};
use crate::ssh::error::{AuthenticateError, ConnectError, ForwardError, HandshakeError, HoldError, ResolveError};
use crate::tls::{self, CertificateProblem};

/// One failed try: what is wrong and what was heard. Becomes a diagnosis when nothing heals it.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) heard: Heard,
}

impl Failure {
    pub(crate) fn new(cause: Cause, heard: impl Into<Option<Heard>>) -> Self {
        Self { cause, heard: heard.into().unwrap_or_default() }
    }

    pub(crate) const fn stage(&self) -> Stage {
        self.cause.stage()
    }

    /// Whether sshd refused the key: such tries are counted against this address.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self.cause.stage(), Stage::Authenticate)
    }

    /// Whether the same try may succeed later without anybody changing an argument.
    pub(crate) const fn heals(&self) -> bool {
        self.cause.heals()
    }
}

/// What Postgres's room reports.
pub(crate) fn of_postgres(error: postgres::Error) -> Failure {
    match error {
        postgres::Error::Tls(error) => of_tls(error),
        postgres::Error::Login(error) => of_login(error),
        postgres::Error::Ready(error) => of_ready(error),
    }
}

/// As [`of_postgres`], of a server that was known for Postgres by another connection: its silence is that of a login.
pub(crate) fn of_known_postgres(error: postgres::Error) -> Failure {
    match error {
        postgres::Error::Login(LoginError::Silent { .. }) => Failure::new(Cause::LoginSilent, None),
        postgres::Error::Login(LoginError::Closed { .. }) => Failure::new(Cause::LoginBroken, None),
        postgres::Error::Login(LoginError::Protocol { heard, .. }) => Failure::new(Cause::LoginBroken, heard),
        error => of_postgres(error),
    }
}

fn of_tls(error: TlsError) -> Failure {
    match error {
        TlsError::Silent => Failure::new(Cause::PostgresSilent, None),
        TlsError::Closed => Failure::new(Cause::DialClosed, None),
        TlsError::NotOffered => Failure::new(Cause::TlsNotOffered, Heard::from_text("N")),
        TlsError::NotPostgres { heard } => Failure::new(Cause::NotPostgres, heard),
        TlsError::ServerError { heard } => Failure::new(Cause::TlsServerError, heard),
        TlsError::Handshake(error) => of_tls_handshake(error),
        TlsError::Flood => Failure::new(Cause::NotPostgres, Heard::from_text("more than any Postgres sends")),
    }
}

/// What the handshake inside a stream reports, whoever speaks in it.
fn of_tls_handshake(error: tls::HandshakeError) -> Failure {
    match error {
        tls::HandshakeError::NotTls { heard } => Failure::new(Cause::NotPostgres, heard),
        tls::HandshakeError::Certificate(problem) => of_certificate(problem),
        tls::HandshakeError::ClientCertificateRefused { heard } => Failure::new(Cause::ClientCertificateRefused, heard),
        tls::HandshakeError::Alert { heard } | tls::HandshakeError::Failed { heard } => Failure::new(Cause::TlsFailed, heard),
        tls::HandshakeError::Cut => Failure::new(Cause::TlsFailed, None),
        tls::HandshakeError::Flood => Failure::new(Cause::NotPostgres, Heard::from_text("more than any Postgres sends")),
    }
}

fn of_certificate(problem: CertificateProblem) -> Failure {
    let heard = Heard::from_text(&problem.to_string());
    let cause = match problem {
        CertificateProblem::Expired | CertificateProblem::NotYetValid | CertificateProblem::RootExpired => Cause::CertificateExpired,
        CertificateProblem::UnknownIssuer => Cause::CertificateUnknownIssuer,
        CertificateProblem::WrongName { presented } if presented.is_empty() => {
            Cause::CertificateWrongName { presented: "no name at all".to_owned() }
        }
        CertificateProblem::WrongName { presented } => {
            Cause::CertificateWrongName { presented: Heard::from_text(&presented.join(", ")).to_string() }
        }
        CertificateProblem::BadSignature | CertificateProblem::Other(_) => Cause::CertificateBad,
    };
    Failure::new(cause, heard)
}

fn of_login(error: LoginError) -> Failure {
    match error {
        LoginError::PasswordRefused { heard } => Failure::new(Cause::PasswordRefused, heard),
        LoginError::PasswordMissing { asked } => Failure::new(Cause::PasswordMissing, asked),
        LoginError::RoleMissing { heard } => Failure::new(Cause::RoleMissing, heard),
        LoginError::HbaNoEntry { tried, heard } => {
            let tried = if tried == Encryption::Tls { Tried::Tls } else { Tried::Plain };
            Failure::new(Cause::NoHbaEntry { tried }, heard)
        }
        LoginError::HbaRejected { heard, .. } => Failure::new(Cause::HbaRejects, heard),
        LoginError::EncryptionRequired { heard } => Failure::new(Cause::EncryptionRequired, heard),
        LoginError::ClientCertificateMissing { heard } | LoginError::ClientCertificateRefused { heard } => {
            Failure::new(Cause::ClientCertificateRefused, heard)
        }
        LoginError::NotPermittedToLogin { heard } => Failure::new(Cause::LoginForbidden, heard),
        LoginError::DatabaseMissing { heard } => Failure::new(Cause::DatabaseMissing, heard),
        LoginError::NoConnectPrivilege { heard } => Failure::new(Cause::NoConnectPrivilege, heard),
        LoginError::DatabaseClosed { heard } => Failure::new(Cause::DatabaseClosed, heard),
        LoginError::TooManyConnections { heard, .. } => Failure::new(Cause::TooManyConnections, heard),
        LoginError::Unavailable { heard, .. } => Failure::new(Cause::NotAccepting, heard),
        LoginError::AuthenticationUnsupported { heard } => Failure::new(Cause::AuthenticationUnsupported, heard),
        LoginError::ChannelBinding { heard } => Failure::new(Cause::ServerUnproven, heard),
        LoginError::ServerUnproven => Failure::new(Cause::ServerUnproven, None),
        LoginError::Pooler { heard } => Failure::new(Cause::Pooler, heard),
        LoginError::Protocol { stage: Stage::Tls, heard } => Failure::new(Cause::NotPostgres, heard),
        LoginError::Closed { stage: Stage::Tls } => Failure::new(Cause::DialClosed, None),
        LoginError::Silent { stage: Stage::Tls } => Failure::new(Cause::PostgresSilent, None),
        LoginError::Protocol { heard, .. } => Failure::new(Cause::LoginBroken, heard),
        LoginError::Flood => Failure::new(Cause::LoginBroken, Heard::from_text("more than any Postgres sends")),
        LoginError::Unsendable => Failure::new(Cause::LoginBroken, Heard::from_text("a NUL byte cannot be sent")),
        LoginError::Closed { .. } => Failure::new(Cause::LoginBroken, None),
        LoginError::Silent { .. } => Failure::new(Cause::LoginSilent, None),
        LoginError::Other { heard, .. } => Failure::new(Cause::LoginRefused, heard),
    }
}

fn of_ready(error: ReadyError) -> Failure {
    let heard = match error {
        ReadyError::Refused { heard, .. } => heard,
        ReadyError::Silent => Heard::default(),
        ReadyError::Closed | ReadyError::Protocol | ReadyError::Flood => Heard::from_text(&error.to_string()),
    };
    Failure::new(Cause::ReadyFailed, heard)
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
    let rank = |failure: &Failure| (failure.stage(), !matches!(failure.cause, Cause::NoHbaEntry { .. }));
    rank(second) > rank(first)
}

/// What the resolver reports.
pub(crate) fn of_resolve(error: ResolveError) -> Failure {
    match error {
        ResolveError::NotFound { heard } => Failure::new(Cause::NameNotFound, heard),
        ResolveError::Failed { heard } => Failure::new(Cause::ResolverFailed, heard),
        ResolveError::Silent => Failure::new(Cause::ResolverSilent, None),
        ResolveError::OnlyIpv6 { heard } => Failure::new(Cause::OnlyIpv6, heard),
    }
}

/// What TCP reports.
pub(crate) fn of_connect(error: ConnectError) -> Failure {
    match error {
        ConnectError::Refused => Failure::new(Cause::ConnectRefused, Heard::from_text("Connection refused")),
        ConnectError::Silent => Failure::new(Cause::ConnectSilent, None),
        ConnectError::Reset => Failure::new(Cause::ConnectReset, Heard::from_text("Connection reset by peer")),
        ConnectError::Unreachable { heard } => Failure::new(Cause::ConnectUnreachable, heard),
        ConnectError::Other { heard } => Failure::new(Cause::ConnectFailed, heard),
    }
}

/// What the handshake reports.
pub(crate) fn of_handshake(error: HandshakeError) -> Failure {
    match error {
        HandshakeError::Closed { heard } if heard.as_str().contains("Exceeded MaxStartups") => Failure::new(Cause::TooManyStartups, heard),
        HandshakeError::Closed { heard } if heard.as_str().contains("Not allowed at this time") => Failure::new(Cause::Penalised, heard),
        HandshakeError::Closed { heard } => Failure::new(Cause::ConnectReset, heard),
        HandshakeError::ClosedAfterVersion { version } => Failure::new(Cause::HandshakeCorrupt, version),
        HandshakeError::Silent { heard } => Failure::new(Cause::HandshakeSilent, heard),
        HandshakeError::NotSsh { heard } => Failure::new(Cause::NotSsh, heard),
        HandshakeError::OldVersion { version } => Failure::new(Cause::OldSsh, version),
        HandshakeError::NoCommon { what, ours, theirs } => {
            let (ours, theirs) = (ours.join(", "), Heard::from_text(&theirs.join(", ")).to_string());
            Failure::new(Cause::NoCommonAlgorithm { what: what.to_owned(), ours, theirs }, None)
        }
        HandshakeError::Corrupt { heard } => Failure::new(Cause::HandshakeCorrupt, heard),
        HandshakeError::Stripped => Failure::new(Cause::StrictStripped, None),
        HandshakeError::NotStrict { cipher } => Failure::new(Cause::NotStrict, Heard::from_text(&cipher)),
        HandshakeError::HostKeyChanged { presented } => {
            let heard = Heard::from_text(&presented.fingerprint());
            Failure::new(Cause::HostKeyChanged { presented }, heard)
        }
        HandshakeError::HostKeyOtherType { theirs } => {
            let presented = Heard::from_text(&theirs.join(", "));
            Failure::new(Cause::HostKeyOtherType { presented: presented.to_string() }, presented)
        }
        HandshakeError::HostKeyRevoked { presented } => {
            let heard = Heard::from_text(&presented.fingerprint());
            Failure::new(Cause::HostKeyRevoked { presented }, heard)
        }
    }
}

/// What the login at the bastion reports.
pub(crate) fn of_authenticate(error: AuthenticateError) -> Failure {
    match error {
        AuthenticateError::Denied { methods } if methods.iter().any(|method| method == "publickey") => {
            Failure::new(Cause::KeyRefused, Heard::from_text(&format!("Permission denied ({})", methods.join(","))))
        }
        AuthenticateError::Denied { methods } => Failure::new(Cause::PublicKeyNotOffered, Heard::from_text(&methods.join(","))),
        AuthenticateError::Partial { methods } => Failure::new(Cause::SecondFactor, Heard::from_text(&methods.join(","))),
        AuthenticateError::TooManyTries { heard } => Failure::new(Cause::TooManyTries, heard),
        AuthenticateError::Closed { heard } => Failure::new(Cause::AuthenticateClosed, heard),
        AuthenticateError::Silent => Failure::new(Cause::AuthenticateSilent, None),
    }
}

/// What the bastion reports of the way behind it.
pub(crate) fn of_forward(error: ForwardError) -> Failure {
    match error {
        // sshd's description is "open failed" for all of them; the words of its reason code say more.
        ForwardError::Prohibited { heard } => Failure::new(Cause::ForwardProhibited, reason("administratively prohibited", &heard)),
        ForwardError::DialFailed { heard } => {
            let words = heard.as_str();
            let cause = if words.contains("not known") || words.contains("name resolution") || words.contains("resolving") {
                Cause::DialNameUnknown
            } else if words.contains("refused") {
                Cause::DialRefused
            } else if words.contains("No route") || words.contains("unreachable") {
                Cause::DialUnreachable
            } else if words.contains("reset") {
                // Accepted, and reset before sshd had looked; a moment later it is a channel that closes without a word.
                Cause::DialClosed
            } else if words.contains("timed out") {
                Cause::DialSilent
            } else {
                Cause::DialFailed
            };
            Failure::new(cause, reason("connect failed", &heard))
        }
        ForwardError::Shortage { heard } => Failure::new(Cause::ForwardShortage, reason("resource shortage", &heard)),
        ForwardError::UnknownType { heard } => Failure::new(Cause::ForwardProhibited, reason("unknown channel type", &heard)),
        ForwardError::Silent => Failure::new(Cause::DialSilent, None),
        ForwardError::SessionLost { heard } => Failure::new(Cause::SessionLost, heard),
    }
}

/// What ended a held session.
pub(crate) fn of_hold(error: HoldError) -> Failure {
    match error {
        HoldError::Ended { heard } => Failure::new(Cause::HoldLost, heard),
        HoldError::Silent => Failure::new(Cause::HoldSilent, None),
    }
}

fn reason(code: &str, description: &Heard) -> Heard {
    if description.is_empty() { Heard::from_text(code) } else { Heard::from_text(&format!("{code}: {description}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_heals() {
        for words in ["", "Exceeded MaxStartups", "Not allowed at this time"] {
            assert!(of_handshake(HandshakeError::Closed { heard: Heard::from_text(words) }).heals(), "{words}");
        }
        assert!(of_forward(ForwardError::SessionLost { heard: Heard::default() }).heals());
        assert!(of_authenticate(AuthenticateError::Denied { methods: vec!["publickey".to_owned()] }).heals());
        let lasting = [
            of_handshake(HandshakeError::HostKeyOtherType { theirs: Vec::new() }),
            of_handshake(HandshakeError::NotSsh { heard: Heard::default() }),
            of_authenticate(AuthenticateError::Denied { methods: vec!["password".to_owned()] }),
            of_authenticate(AuthenticateError::TooManyTries { heard: Heard::default() }),
            of_forward(ForwardError::Prohibited { heard: Heard::default() }),
            of_forward(ForwardError::DialFailed { heard: Heard::from_text("Connection refused") }),
            of_forward(ForwardError::Silent),
            of_login(LoginError::PasswordRefused { heard: Heard::default() }),
        ];
        for failure in lasting {
            assert!(!failure.heals(), "{:?}", failure.cause);
        }
    }

    #[test]
    fn what_no_lab_can_make_has_its_cause() {
        let heard = Heard::default;
        let reports = [
            (of_handshake(HandshakeError::Closed { heard: Heard::from_text("Not allowed at this time") }), Cause::Penalised),
            (of_handshake(HandshakeError::NotStrict { cipher: String::new() }), Cause::NotStrict),
            (of_forward(ForwardError::Shortage { heard: heard() }), Cause::ForwardShortage),
            (of_forward(ForwardError::UnknownType { heard: heard() }), Cause::ForwardProhibited),
            (of_certificate(CertificateProblem::BadSignature), Cause::CertificateBad),
            (of_login(LoginError::EncryptionRequired { heard: heard() }), Cause::EncryptionRequired),
            (of_login(LoginError::ServerUnproven), Cause::ServerUnproven),
            (of_login(LoginError::ChannelBinding { heard: heard() }), Cause::ServerUnproven),
            (of_login(LoginError::AuthenticationUnsupported { heard: heard() }), Cause::AuthenticationUnsupported),
            (of_login(LoginError::Pooler { heard: heard() }), Cause::Pooler),
            (of_login(LoginError::Other { stage: Stage::Login, sqlstate: "XX000".into(), heard: heard() }), Cause::LoginRefused),
        ];
        for (failure, cause) in reports {
            assert_eq!(failure.cause, cause);
        }
    }

    #[test]
    fn the_bastions_words_tell_what_it_met() {
        let cause = |words: &str| of_forward(ForwardError::DialFailed { heard: Heard::from_text(words) }).cause;
        let known = [
            ("Name or service not known", Cause::DialNameUnknown),
            ("Temporary failure in name resolution", Cause::DialNameUnknown),
            ("Error resolving 'h' port '5432'. Name does not resolve", Cause::DialNameUnknown),
            ("Connection refused", Cause::DialRefused),
            ("No route to host", Cause::DialUnreachable),
            ("Network is unreachable", Cause::DialUnreachable),
            ("Connection timed out", Cause::DialSilent),
            ("Connection reset by peer", Cause::DialClosed),
            ("open failed", Cause::DialFailed),
        ];
        for (words, expected) in known {
            assert_eq!(cause(words), expected, "{words}");
        }
    }
}
