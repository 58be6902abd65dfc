//! From what SSH's room reports to a cause: one exhaustive match a verb.

use crate::path::cause::Cause;
use crate::path::heard::Heard;
use crate::path::position::Position;
use crate::ssh::connect::is_unknown_name;
use crate::ssh::error::{AuthenticateError, ConnectError, ForwardError, HandshakeError, HoldError, ResolveError};

/// What is wrong, and what was heard of it.
pub(crate) type Told = (Cause, Heard);

/// One failed try: where, what is wrong and what was heard. Becomes a diagnosis when nothing heals it.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) at: Position,
    pub(crate) cause: Cause,
    pub(crate) heard: Heard,
}

impl Failure {
    /// At the cause's own stage of a leg.
    pub(crate) fn new(leg: usize, (cause, heard): Told) -> Self {
        Self { at: Position::new(leg, cause.stage()), cause, heard }
    }

    /// Without a word.
    pub(crate) fn silent(leg: usize, cause: Cause) -> Self {
        Self::new(leg, (cause, Heard::default()))
    }
}

/// A cause of which nothing was heard.
fn silent(cause: Cause) -> Told {
    (cause, Heard::default())
}

/// What the resolver reports.
pub(crate) fn of_resolve(error: ResolveError) -> Told {
    match error {
        ResolveError::NotFound { heard } => (Cause::NameNotFound, heard),
        ResolveError::Failed { heard } => (Cause::ResolverFailed, heard),
        ResolveError::Silent => silent(Cause::ResolverSilent),
        ResolveError::OnlyIpv6 { heard } => (Cause::OnlyIpv6, heard),
    }
}

/// What TCP reports.
pub(crate) fn of_connect(error: ConnectError) -> Told {
    match error {
        ConnectError::Refused => (Cause::ConnectRefused, Heard::from_text("Connection refused")),
        ConnectError::Silent => silent(Cause::ConnectSilent),
        ConnectError::Reset => (Cause::ConnectReset, Heard::from_text("Connection reset by peer")),
        ConnectError::Unreachable { heard } => (Cause::ConnectUnreachable, heard),
        ConnectError::Other { heard } => (Cause::ConnectFailed, heard),
    }
}

/// What the handshake reports.
pub(crate) fn of_handshake(error: HandshakeError) -> Told {
    match error {
        HandshakeError::Closed { heard } if heard.as_str().contains("Exceeded MaxStartups") => (Cause::TooManyStartups, heard),
        HandshakeError::Closed { heard } if heard.as_str().contains("Not allowed at this time") => (Cause::Penalised, heard),
        HandshakeError::Closed { heard } => (Cause::ConnectReset, heard),
        HandshakeError::ClosedAfterVersion { version } => (Cause::HandshakeClosed, version),
        HandshakeError::WeakSignature { signature } => silent(Cause::HostKeyWeak { signature: Heard::from_text(&signature).to_string() }),
        HandshakeError::Silent { heard } => (Cause::HandshakeSilent, heard),
        HandshakeError::NotSsh { heard } => (Cause::NotSsh, heard),
        HandshakeError::OldVersion { version } => (Cause::OldSsh, version),
        HandshakeError::NoCommon { what, ours, theirs } => {
            let (ours, theirs) = (ours.join(", "), Heard::from_text(&theirs.join(", ")).to_string());
            silent(Cause::NoCommonAlgorithm { what: what.to_owned(), ours, theirs })
        }
        HandshakeError::Corrupt { heard } => (Cause::HandshakeCorrupt, heard),
        HandshakeError::Stripped => silent(Cause::StrictStripped),
        HandshakeError::NotStrict { cipher } => (Cause::NotStrict, Heard::from_text(&cipher)),
        HandshakeError::HostKeyChanged { presented } => {
            let heard = Heard::from_text(&presented.fingerprint());
            (Cause::HostKeyChanged { presented }, heard)
        }
        HandshakeError::HostKeyOtherType { theirs } => {
            let presented = Heard::from_text(&theirs.join(", "));
            (Cause::HostKeyOtherType { presented: presented.to_string() }, presented)
        }
        HandshakeError::HostKeyRevoked { presented } => {
            let heard = Heard::from_text(&presented.fingerprint());
            (Cause::HostKeyRevoked { presented }, heard)
        }
    }
}

/// What the login at the bastion reports.
pub(crate) fn of_authenticate(error: AuthenticateError) -> Told {
    match error {
        AuthenticateError::Denied { methods } if methods.iter().any(|method| method == "publickey") => {
            (Cause::KeyRefused, Heard::from_text(&format!("Permission denied ({})", methods.join(","))))
        }
        AuthenticateError::Denied { methods } => (Cause::PublicKeyNotOffered, Heard::from_text(&methods.join(","))),
        AuthenticateError::Partial { methods } => (Cause::SecondFactor, Heard::from_text(&methods.join(","))),
        AuthenticateError::TooManyTries { heard } => (Cause::KeyRefused, heard),
        AuthenticateError::Closed { heard } => (Cause::AuthenticateClosed, heard),
        AuthenticateError::Silent => silent(Cause::AuthenticateSilent),
    }
}

/// What the bastion reports of the way behind it.
pub(crate) fn of_forward(error: ForwardError) -> Told {
    match error {
        // sshd's description is "open failed" for all of them; the words of its reason code say more.
        ForwardError::Prohibited { heard } => (Cause::ForwardProhibited, reason("administratively prohibited", &heard)),
        ForwardError::DialFailed { heard } => {
            let words = heard.as_str();
            let cause = if words.contains("Temporary failure in name resolution") || words.contains("Try again") {
                Cause::DialResolverSilent
            } else if is_unknown_name(words) || words.contains("name resolution") || words.contains("resolving") {
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
            (cause, reason("connect failed", &heard))
        }
        ForwardError::Shortage { heard } => (Cause::ForwardShortage, reason("resource shortage", &heard)),
        ForwardError::UnknownType { heard } => (Cause::ForwardProhibited, reason("unknown channel type", &heard)),
        ForwardError::Silent => silent(Cause::DialSilent),
        ForwardError::Unresponsive => silent(Cause::SessionLost),
        ForwardError::SessionLost { heard } => (Cause::SessionLost, heard),
    }
}

/// What ended a held session.
pub(crate) fn of_hold(error: HoldError) -> Told {
    match error {
        HoldError::Ended { heard } => (Cause::HoldLost, heard),
        HoldError::Silent => silent(Cause::HoldSilent),
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
            assert!(of_handshake(HandshakeError::Closed { heard: Heard::from_text(words) }).0.heals(), "{words}");
        }
        // A database, its name and its port come up as a balancer does.
        for words in ["Connection refused", "Name or service not known"] {
            assert!(of_forward(ForwardError::DialFailed { heard: Heard::from_text(words) }).0.heals(), "{words}");
        }
        assert!(of_forward(ForwardError::SessionLost { heard: Heard::default() }).0.heals());
        assert!(of_authenticate(AuthenticateError::Denied { methods: vec!["publickey".to_owned()] }).0.heals());
        assert!(of_authenticate(AuthenticateError::TooManyTries { heard: Heard::default() }).0.heals());
        assert!(of_handshake(HandshakeError::ClosedAfterVersion { version: Heard::default() }).0.heals());
        let lasting = [
            of_handshake(HandshakeError::HostKeyOtherType { theirs: Vec::new() }),
            of_handshake(HandshakeError::NotSsh { heard: Heard::default() }),
            of_authenticate(AuthenticateError::Denied { methods: vec!["password".to_owned()] }),
            of_forward(ForwardError::Prohibited { heard: Heard::default() }),
            of_forward(ForwardError::DialFailed { heard: Heard::from_text("No route to host") }),
            of_forward(ForwardError::Silent),
        ];
        for (cause, _) in lasting {
            assert!(!cause.heals(), "{cause:?}");
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
        ];
        for ((told, _), cause) in reports {
            assert_eq!(told, cause);
        }
    }

    #[test]
    fn the_bastions_words_tell_what_it_met() {
        let cause = |words: &str| of_forward(ForwardError::DialFailed { heard: Heard::from_text(words) }).0;
        let known = [
            ("Name or service not known", Cause::DialNameUnknown),
            ("Temporary failure in name resolution", Cause::DialResolverSilent),
            ("Error resolving 'h' port '5432'. Name does not resolve", Cause::DialNameUnknown),
            ("Name does not resolve", Cause::DialNameUnknown),
            ("No address associated with hostname", Cause::DialNameUnknown),
            ("nodename nor servname provided, or not known", Cause::DialNameUnknown),
            ("dial tcp: lookup db on 10.0.0.2:53: no such host", Cause::DialNameUnknown),
            ("No such host is known. ", Cause::DialNameUnknown),
            ("Try again", Cause::DialResolverSilent),
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
