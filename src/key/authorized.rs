//! The line of authorized_keys that lets a key open tunnels and nothing else.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::public::PublicKey;
use crate::cidr::Cidr;
use crate::path::heard::printable;

/// What a line grants besides the login itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineOptions {
    /// Where the key may forward to. `None`: anywhere; empty: nowhere.
    pub permit_open: Option<Vec<PermitOpen>>,
    /// Where the client has to come from. Empty: from anywhere.
    pub from: BTreeSet<Cidr>,
    /// Until when sshd accepts the key.
    pub expires: Option<Expiry>,
    /// What stands behind the key.
    pub comment: Option<Comment>,
}

/// `restrict[,port-forwarding][,from="…"][,expiry-time="…"][,permitopen="host:port"]… type base64 [comment]` (sshd(8), AUTHORIZED_KEYS FILE
/// FORMAT).
///
/// `restrict` takes everything away, so what a later sshd invents is off too; `port-forwarding` gives back the one thing needed. Where
/// nothing may be forwarded to it is left out: sshd has no `permitopen` that says so.
#[must_use]
pub fn authorized_keys_line(key: &PublicKey, options: &LineOptions) -> String {
    let mut line = String::from("restrict");
    if options.permit_open.as_ref().is_none_or(|targets| !targets.is_empty()) {
        line.push_str(",port-forwarding");
    }
    if !options.from.is_empty() {
        let from: Vec<_> = options.from.iter().map(ToString::to_string).collect();
        line.push_str(&format!(",from=\"{}\"", from.join(",")));
    }
    if let Some(expires) = &options.expires {
        line.push_str(&format!(",expiry-time=\"{}\"", expires.stamp()));
    }
    for target in options.permit_open.iter().flatten() {
        line.push_str(&format!(",permitopen=\"{target}\""));
    }
    line.push_str(&format!(" {key}"));
    if let Some(comment) = &options.comment {
        line.push_str(&format!(" {comment}"));
    }
    line
}

/// A target for `permitopen`: `host:port`, or `[address]:port` for IPv6. sshd takes a number or `*` as the port, and compares the host as
/// text with what the client asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PermitOpen(String);

/// Why a target cannot stand in `permitopen`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a target for permitopen; write host:port, or [address]:port for IPv6. sshd knows `*` only as the whole of either")]
pub struct PermitOpenError(pub String);

impl FromStr for PermitOpen {
    type Err = PermitOpenError;

    /// A quotation mark or a line break would add options or lines of its own; a pattern such as `*.internal` would never permit anything,
    /// because sshd compares hosts as text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || PermitOpenError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let host_fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host == "*" || (!host.is_empty() && host.chars().all(plain)),
        };
        let port_fits = port == "*" || port.parse::<u16>().is_ok_and(|port| port > 0);
        if host_fits && port_fits { Ok(Self(text.to_owned())) } else { Err(refused()) }
    }
}

impl fmt::Display for PermitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Until when a key is accepted, to the second. Read and shown as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(OffsetDateTime);

/// Why a text is not such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpiryError {
    /// `tomorrow`, `2030-01-01`.
    #[error("it is not a time as RFC 3339 writes it, such as 2030-01-31T12:00:00Z")]
    Form,
    /// sshd takes no time before 1970, and reads it in a time zone of its own.
    #[error("sshd takes no time before 1971")]
    TooEarly,
}

/// A year whose every moment is after sshd's first, in every time zone.
const FIRST_YEAR: i32 = 1971;

impl Expiry {
    /// As `expiry-time` takes it. Without the `Z`, because sshd before 9.1 refuses the whole line for it; so sshd reads it in its machine's
    /// time zone.
    #[must_use]
    pub fn stamp(self) -> String {
        let (date, time) = (self.0.date(), self.0.time());
        let day = format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day());
        format!("{day}{:02}{:02}{:02}", time.hour(), time.minute(), time.second())
    }

    /// The time in a line's `expiry-time`, if it is written as [`Expiry::stamp`] writes it.
    #[must_use]
    pub fn from_stamp(stamp: &str) -> Option<Self> {
        if stamp.len() != 14 || !stamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = |from: usize| stamp.get(from..from + 2)?.parse::<u8>().ok();
        let date = Date::from_calendar_date(stamp.get(..4)?.parse().ok()?, Month::try_from(number(4)?).ok()?, number(6)?).ok()?;
        let time = Time::from_hms(number(8)?, number(10)?, number(12)?).ok()?;
        Some(Self(OffsetDateTime::new_in_offset(date, time, UtcOffset::UTC)))
    }

    /// Whether it is over by then.
    #[must_use]
    pub fn has_passed(self, now: std::time::SystemTime) -> bool {
        self.0 <= now
    }
}

impl FromStr for Expiry {
    type Err = ExpiryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| ExpiryError::Form)?;
        // A year that the offset moves out of what can be written is none that anybody means.
        let time = time.checked_to_offset(UtcOffset::UTC).ok_or(ExpiryError::Form)?;
        let time = time.replace_nanosecond(0).map_err(|_| ExpiryError::Form)?;
        match time.year() {
            FIRST_YEAR..=9999 => Ok(Self(time)),
            year if year < FIRST_YEAR => Err(ExpiryError::TooEarly),
            _ => Err(ExpiryError::Form),
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.0.date(), self.0.time());
        write!(f, "{:04}-{:02}-{:02}T", date.year(), u8::from(date.month()), date.day())?;
        write!(f, "{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
    }
}

/// What stands behind a key: one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment(String);

/// Why a text cannot be a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommentError {
    /// Nothing, or blanks at an end, which nobody sees.
    #[error("it is empty, or begins or ends with a blank")]
    Blank,
    /// A line break would add a line; the others would not show, or show the rest in another order.
    #[error("it holds a line break or another character that does not show")]
    Control,
    /// More than anybody reads.
    #[error("it has {0} characters, and {LONGEST_COMMENT} are the most")]
    TooLong(usize),
}

/// In characters; a host name and a sentence fit.
const LONGEST_COMMENT: usize = 255;

impl FromStr for Comment {
    type Err = CommentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.chars().count() {
            _ if printable(text) != text => Err(CommentError::Control),
            _ if text.trim() != text || text.is_empty() => Err(CommentError::Blank),
            length if length > LONGEST_COMMENT => Err(CommentError::TooLong(length)),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn line(options: &LineOptions) -> String {
        authorized_keys_line(&KEY.parse().unwrap(), options)
    }

    #[test]
    fn the_line_allows_tunnels_only() {
        assert_eq!(line(&LineOptions::default()), format!("restrict,port-forwarding {KEY}"));
        let nowhere = LineOptions { permit_open: Some(Vec::new()), ..LineOptions::default() };
        assert_eq!(line(&nowhere), format!("restrict {KEY}"));
        let all = LineOptions {
            permit_open: Some(["db.internal:5432", "[::1]:5432"].map(|target| target.parse().unwrap()).into()),
            from: ["54.69.79.83", "10.0.0.0/8", "2001:DB8::1"].map(|from| from.parse().unwrap()).into(),
            expires: Some("2030-01-31T23:30:00.5-01:00".parse().unwrap()),
            comment: Some("neosync 1".parse().unwrap()),
        };
        assert_eq!(
            line(&all),
            format!(
                r#"restrict,port-forwarding,from="10.0.0.0/8,54.69.79.83/32,2001:db8::1/128",expiry-time="20300201003000",permitopen="db.internal:5432",permitopen="[::1]:5432" {KEY} neosync 1"#
            )
        );
    }

    #[test]
    fn neither_a_target_nor_a_comment_can_add_a_line_or_an_option() {
        for bad in
            ["db", "db:", "db:0", "db:65536", ":22", "a\",pty,command=\"x:1", "a\nb:1", "::1:22", "a b:1", "*.internal:5432", "db?:5432"]
        {
            assert_eq!(bad.parse::<PermitOpen>(), Err(PermitOpenError(bad.to_owned())));
        }
        for any in ["*:5432", "db:*", "*:*"] {
            assert!(any.parse::<PermitOpen>().is_ok(), "{any}");
        }
        for (bad, error) in [
            ("", CommentError::Blank),
            (" a", CommentError::Blank),
            ("a\nssh-rsa AAAA", CommentError::Control),
            ("a\r", CommentError::Control),
            ("a\u{202e}b", CommentError::Control),
            (&"é".repeat(256), CommentError::TooLong(256)),
        ] {
            assert_eq!(bad.parse::<Comment>(), Err(error), "{bad:?}");
        }
        assert!("é".repeat(255).parse::<Comment>().is_ok());
    }

    #[test]
    fn a_time_is_read_from_rfc_3339_and_leads_back_from_a_line() {
        let expiry: Expiry = "2030-01-01T01:00:00+02:00".parse().unwrap();
        assert_eq!((expiry.to_string().as_str(), expiry.stamp().as_str()), ("2029-12-31T23:00:00Z", "20291231230000"));
        assert_eq!(expiry.to_string().parse(), Ok(expiry));
        assert_eq!(Expiry::from_stamp(&expiry.stamp()), Some(expiry));
        for bad in ["", "2030", "202913312300000", "20291331230000", "2029123123000é", "20300101000000Z"] {
            assert_eq!(Expiry::from_stamp(bad), None, "{bad}");
        }
        for bad in ["", "tomorrow", "2030-01-01", "2030-01-01T00:00:00", "2030-13-01T00:00:00Z", "9999-12-31T23:59:59-01:00"] {
            assert_eq!(bad.parse::<Expiry>(), Err(ExpiryError::Form), "{bad}");
        }
        for early in ["0000-01-01T00:00:00Z", "1970-12-31T23:59:59Z"] {
            assert_eq!(early.parse::<Expiry>(), Err(ExpiryError::TooEarly), "{early}");
        }
        let now = std::time::SystemTime::now();
        assert!("2001-01-01T00:00:00Z".parse::<Expiry>().unwrap().has_passed(now));
        assert!(!"9000-01-01T00:00:00Z".parse::<Expiry>().unwrap().has_passed(now));
    }
}
