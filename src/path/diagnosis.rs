//! What went wrong on a walk, ready to be read: stage, what was heard, what it means, what to change.

use std::fmt;
use std::time::Duration;

use super::cause::Cause;
use super::heard::Heard;
use super::picture::{self, Reach};
use super::route::Route;
use super::stage::Stage;
use super::words::{Scene, TIE};
use crate::key::PublicKey;

/// The verdict on a walk that failed. Its `Display` is the text below the summary line, fourteen lines at the most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What is wrong.
    pub cause: Cause,
    /// The peer's own words, or the operating system's; empty after silence.
    pub heard: Heard,
    /// The walked route.
    pub route: Route,
    /// The key that was offered to the bastion.
    pub public_key: Option<PublicKey>,
    /// How long the failing stage took, retries included.
    pub took: Duration,
    /// How often it was tried, at least once.
    pub tries: u32,
}

impl Diagnosis {
    /// The stage that failed.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.cause.stage()
    }

    /// `forward/prohibited`: for searching, filtering and the docs.
    #[must_use]
    pub fn code(&self) -> String {
        format!("{}/{}", self.stage(), self.cause.slug())
    }

    /// One general line, without values.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.cause.words(self.scene()).summary
    }

    /// What it means; empty where the summary says all.
    #[must_use]
    pub fn means(&self) -> String {
        self.cause.words(self.scene()).means.replace(TIE, " ")
    }

    /// How far the walk came, for a picture.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        match self.cause {
            Cause::Interrupted { stage } | Cause::OutOfTime { stage } => Reach::Ended(stage),
            _ => Reach::Failed(self.stage()),
        }
    }

    /// What to do, the likeliest first.
    #[must_use]
    pub fn remedies(&self) -> Vec<String> {
        self.cause.words(self.scene()).remedies.into_iter().map(|remedy| remedy.replace(TIE, " ")).collect()
    }

    fn scene(&self) -> Scene<'_> {
        Scene { route: &self.route, public_key: self.public_key.as_ref() }
    }

    fn heard_line(&self) -> String {
        let what = if self.heard.is_empty() { "nothing".to_owned() } else { format!("\"{}\"", self.heard) };
        let tries = if self.tries > 1 { format!(", tried {} times", self.tries) } else { String::new() };
        format!("{what}, after {:.1} s{tries}, from this machine.", self.took.as_secs_f64())
    }
}

/// The width at which text is folded: Terraform's frame takes two columns of a 100-column terminal, and it folds no line that is indented.
const WIDTH: usize = 96;

/// Where the text of a labelled line begins.
const MARGIN: usize = 10;

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.cause.words(self.scene());
        writeln!(f, "{}\n", picture::draw(&self.route, self.reach()))?;
        if self.cause.is_heard() {
            labelled(f, "Heard", "", &self.heard_line())?;
        }
        if !words.means.is_empty() {
            labelled(f, "Means", "", &words.means)?;
        }
        let several = words.remedies.len() > 1;
        for (index, remedy) in words.remedies.iter().enumerate() {
            let label = if index == 0 { "Do" } else { "" };
            let number = if several { format!("{}. ", index + 1) } else { String::new() };
            labelled(f, label, &number, remedy)?;
        }
        write!(f, "  Code    {}", self.code())
    }
}

/// Writes a labelled line, folded between words, what follows the first line aligned under its text.
fn labelled(f: &mut fmt::Formatter<'_>, label: &str, number: &str, text: &str) -> fmt::Result {
    write!(f, "  {label:<8}{number}")?;
    let indent = MARGIN + number.len();
    let mut column = indent;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > indent && column + 1 + width > WIDTH {
            write!(f, "\n{:indent$}", "")?;
            column = indent;
        } else if column > indent {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(&word.replace(TIE, " "))?;
        column += width;
    }
    writeln!(f)
}

impl std::error::Error for Diagnosis {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PrivateKey;
    use crate::path::finding::Finding;
    use crate::path::route::tests::route;

    /// One of each cause.
    fn causes(key: &PublicKey) -> Vec<Cause> {
        let text = || "some text".to_owned();
        let findings = vec![Finding::WalLevel { actual: "replica".to_owned() }, Finding::NoSelect { table: "public.orders".to_owned() }];
        vec![
            Cause::NothingPinned,
            Cause::NoKey,
            Cause::NameNotFound,
            Cause::ResolverFailed,
            Cause::ResolverSilent,
            Cause::ConnectRefused,
            Cause::ConnectSilent,
            Cause::ConnectReset,
            Cause::ConnectUnreachable,
            Cause::ConnectFailed,
            Cause::HandshakeSilent,
            Cause::NotSsh,
            Cause::OldSsh,
            Cause::NoCommonAlgorithm { what: text(), theirs: text() },
            Cause::TooManyStartups,
            Cause::Penalised,
            Cause::HandshakeCorrupt,
            Cause::NotStrict,
            Cause::HostKeyOtherType { presented: text() },
            Cause::HostKeyChanged { presented: key.clone() },
            Cause::HostKeyRevoked { presented: key.clone() },
            Cause::KeyRefused,
            Cause::PublicKeyNotOffered,
            Cause::SecondFactor,
            Cause::TooManyTries,
            Cause::AuthenticateClosed,
            Cause::AuthenticateSilent,
            Cause::ForwardProhibited,
            Cause::ForwardShortage,
            Cause::SessionLost,
            Cause::DialNameUnknown,
            Cause::DialRefused,
            Cause::DialUnreachable,
            Cause::DialSilent,
            Cause::DialFailed,
            Cause::DialClosed,
            Cause::PostgresSilent,
            Cause::NotPostgres,
            Cause::TlsNotOffered,
            Cause::TlsServerError,
            Cause::CertificateWrongName { presented: text() },
            Cause::CertificateExpired,
            Cause::CertificateUnknownIssuer,
            Cause::CertificateBad,
            Cause::ClientCertificateRefused,
            Cause::TlsFailed,
            Cause::PasswordRefused,
            Cause::PasswordMissing,
            Cause::RoleMissing,
            Cause::EncryptionRequired,
            Cause::ServerUnproven,
            Cause::NoHbaEntry { encrypted: true },
            Cause::NoHbaEntry { encrypted: false },
            Cause::HbaRejects,
            Cause::AuthenticationUnsupported,
            Cause::Pooler,
            Cause::LoginBroken,
            Cause::LoginSilent,
            Cause::LoginForbidden,
            Cause::DatabaseMissing,
            Cause::NoConnectPrivilege,
            Cause::DatabaseClosed,
            Cause::TooManyConnections,
            Cause::NotAccepting,
            Cause::LoginRefused,
            Cause::NotReady { findings, publication: None },
            Cause::ReadyFailed,
            Cause::Interrupted { stage: Stage::Authenticate },
            Cause::OutOfTime { stage: Stage::Login },
        ]
    }

    fn told(cause: Cause, key: &PublicKey) -> Diagnosis {
        let (route, heard) = (route("db.internal"), Heard::from_text("some words"));
        Diagnosis { cause, heard, route, public_key: Some(key.clone()), took: Duration::from_millis(230), tries: 1 }
    }

    #[test]
    fn every_cause_has_words_of_its_own_in_fourteen_lines() {
        let key = PrivateKey::generate_ed25519().unwrap().public();
        let mut codes = std::collections::BTreeSet::new();
        for cause in causes(&key) {
            let told = told(cause, &key);
            let text = told.to_string();
            assert!(!told.summary().is_empty() && !told.remedies().is_empty(), "{}", told.code());
            assert!(text.lines().count() <= 14, "{text}");
            assert!(!told.summary().contains(['`', '?']), "a summary is general: {}", told.summary());
            assert!(text.lines().all(|line| line.is_empty() || line.starts_with("  ")), "Terraform folds what is not indented: {text}");
            codes.insert(told.code());
        }
        // The two kinds of "no pg_hba.conf entry" share a code.
        assert_eq!(codes.len(), causes(&key).len() - 1, "{codes:?}");
    }

    #[test]
    fn a_diagnosis_reads_as_a_page() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".parse().unwrap();
        let pages: Vec<_> = causes(&key)
            .into_iter()
            .map(|cause| told(cause, &key))
            .map(|told| format!("== {} [{}]\n\n{told}\n", told.summary(), told.code()))
            .collect();
        insta::assert_snapshot!(pages.join("\n"));
    }
}
