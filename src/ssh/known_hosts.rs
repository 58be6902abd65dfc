//! Pinned host keys as users give them: `type base64` lines or known_hosts lines. Our own reader: russh's ignores `@revoked`, wildcards and
//! tabs, and one bad line breaks it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::handshake::is_asked_for;
use crate::key::{HostKeys, PublicKey, PublicKeyError};
use crate::path::heard::Heard;
use crate::path::route::{Host, Port};

/// Why pinned host keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KnownHostsError {
    /// A line that is no host key.
    #[error("in \"{line}\": {error}")]
    Line {
        /// Its beginning.
        line: Heard,
        /// What is wrong with the key.
        error: PublicKeyError,
    },
    /// `@cert-authority`.
    #[error("\"{line}\" names a certificate authority; pin the host's own key instead")]
    CertificateAuthority {
        /// Its beginning.
        line: Heard,
    },
    /// An unknown marker.
    #[error("\"{line}\" starts with an unknown marker; known_hosts knows @revoked and @cert-authority")]
    Marker {
        /// Its beginning.
        line: Heard,
    },
    /// known_hosts lines for other hosts only.
    #[error("no line is for {wanted}; the given ones are for {others}")]
    OtherHost {
        /// The bastion as known_hosts spells it.
        wanted: String,
        /// The hosts of the given lines.
        others: Heard,
    },
    /// Not one key.
    #[error("there is no host key in it")]
    Empty,
}

/// Reads all texts; each may hold several lines. Lines for other hosts are skipped, as long as one line is for this host; so are keys of a
/// kind that no handshake asks for (ssh-dss), as long as there is another.
///
/// # Errors
///
/// [`KnownHostsError`], with the line at fault.
pub fn from_texts(texts: &[&str], host: &Host, port: Port) -> Result<HostKeys, KnownHostsError> {
    let (mut accepted, mut revoked, mut others, mut useless) = (Vec::new(), Vec::new(), Vec::new(), None);
    let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let entry = Entry::read(line)?;
        match entry.hosts {
            Some(hosts) if !covers(hosts, host, port) => others.push(hosts),
            _ if entry.revoked => revoked.push(entry.key),
            _ if !is_asked_for(&entry.key) => useless = useless.or_else(|| Some(Heard::from_text(line))),
            _ if !accepted.contains(&entry.key) => accepted.push(entry.key),
            _ => {}
        }
    }
    if !accepted.is_empty() {
        return Ok(HostKeys::Pinned { accepted, revoked });
    }
    if let Some(line) = useless {
        return Err(KnownHostsError::Line { line, error: PublicKeyError::Kind });
    }
    if others.is_empty() {
        return Err(KnownHostsError::Empty);
    }
    Err(KnownHostsError::OtherHost { wanted: spelled(host, port), others: Heard::from_text(&others.join(", ")) })
}

struct Entry<'a> {
    revoked: bool,
    hosts: Option<&'a str>,
    key: PublicKey,
}

impl<'a> Entry<'a> {
    fn read(line: &'a str) -> Result<Self, KnownHostsError> {
        let quote = || Heard::from_text(line);
        let (revoked, rest) = match line.split_once(char::is_whitespace) {
            Some(("@revoked", rest)) => (true, rest.trim_start()),
            Some(("@cert-authority", _)) => return Err(KnownHostsError::CertificateAuthority { line: quote() }),
            Some((marker, _)) if marker.starts_with('@') => return Err(KnownHostsError::Marker { line: quote() }),
            _ => (false, line),
        };
        // A line starts with hosts if a key's kind follows. A host's own name may look like one.
        let (hosts, key) = match rest.split_once(char::is_whitespace) {
            Some((hosts, key)) if starts_with_kind(key.trim_start()) => (Some(hosts), key.trim_start()),
            _ => (None, rest),
        };
        let key = key.parse().map_err(|error| KnownHostsError::Line { line: quote(), error })?;
        Ok(Self { revoked, hosts, key })
    }
}

fn starts_with_kind(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(crate::key::is_key_name)
}

/// The line that pins a key: as `ssh-keyscan` prints it.
#[must_use]
pub fn line(host: &Host, port: Port, key: &PublicKey) -> String {
    format!("{} {key}", spelled(host, port))
}

/// As OpenSSH spells a host in known_hosts.
fn spelled(host: &Host, port: Port) -> String {
    let host = host.as_str().to_lowercase();
    if port == Port::SSH { host } else { format!("[{host}]:{port}") }
}

/// Whether a known_hosts host field covers a host: patterns by comma, `*`, `?`, `!`, or a hash.
fn covers(field: &str, host: &Host, port: Port) -> bool {
    let name = spelled(host, port);
    if let Some(hashed) = field.strip_prefix("|1|") {
        return hash_matches(hashed, &name).unwrap_or(false);
    }
    let mut covered = false;
    for pattern in field.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(&negated.to_lowercase(), &name) => return false,
            Some(_) => {}
            None => covered |= matches(&pattern.to_lowercase(), &name),
        }
    }
    covered
}

/// `salt|hash`, both base64: HMAC-SHA1 of the name (sshd(8)).
fn hash_matches(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    Some(hmac::verify(&key, name.as_bytes(), &hash).is_ok())
}

/// Shell-like patterns, without backtracking beyond the last star, so that no pattern is slow.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut from, mut star) = (0, 0, None);
    while let Some(character) = name.get(from) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at += 1;
                from += 1;
            }
            _ => match &mut star {
                Some((star_at, resume)) => {
                    *resume += 1;
                    (at, from) = (*star_at + 1, *resume);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|character| *character == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PrivateKey;

    fn key() -> PublicKey {
        PrivateKey::generate_ed25519().unwrap().public()
    }

    fn read(texts: &[&str], host: &str, port: i64) -> Result<HostKeys, KnownHostsError> {
        from_texts(texts, &host.parse().unwrap(), Port::try_from(port).unwrap())
    }

    #[test]
    fn plain_keys_and_lines_for_the_host_are_pinned() {
        let (one, two) = (key(), key());
        let lines = [
            format!("{one}"),
            format!("{one} a comment"),
            format!("bastion.example.com {one}"),
            format!("other,BASTION.example.com\t{one} comment"),
            format!("*.example.com {one}"),
            format!("b?stion.* {one}"),
            format!("# comment\n\n{one}\r\n"),
        ];
        for line in &lines {
            let pinned = HostKeys::Pinned { accepted: vec![one.clone()], revoked: Vec::new() };
            assert_eq!(read(&[line], "bastion.example.com", 22), Ok(pinned), "{line}");
        }
        let both = read(&[&format!("{one}\n{two}"), &one.to_string()], "b", 22);
        assert_eq!(both, Ok(HostKeys::Pinned { accepted: vec![one.clone(), two.clone()], revoked: Vec::new() }));
        let revoked = read(&[&format!("@revoked * {two}\nb {one}")], "b", 22);
        assert_eq!(revoked, Ok(HostKeys::Pinned { accepted: vec![one.clone()], revoked: vec![two] }));
        assert!(read(&[&format!("[b]:2222 {one}")], "b", 2222).is_ok());
    }

    #[test]
    fn lines_for_other_hosts_do_not_count() {
        let one = key();
        let others = ["other", "[b]:2222", "!b,*", "|1|AAAA|AAAA", "b.example.com"];
        for other in others {
            let refused = read(&[&format!("{other} {one}")], "b", 22).unwrap_err();
            assert!(matches!(refused, KnownHostsError::OtherHost { .. }), "{other}: {refused}");
        }
        assert!(read(&[&format!("other {one}\nb {one}")], "b", 22).is_ok());
    }

    #[test]
    fn hashed_hosts_are_those_of_ssh_keygen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        std::fs::write(&file, format!("bastion.example.com {}\n", key())).unwrap();
        let hashed = std::process::Command::new("ssh-keygen").arg("-Hf").arg(&file).output().expect("ssh-keygen is needed here");
        assert!(hashed.status.success());
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("|1|"), "{text}");
        assert!(read(&[&text], "bastion.example.com", 22).is_ok());
        assert!(read(&[&text], "other.example.com", 22).is_err());
    }

    #[test]
    fn what_pins_nothing_is_refused() {
        let one = key();
        assert_eq!(read(&[""], "b", 22), Err(KnownHostsError::Empty));
        assert_eq!(read(&[&format!("@revoked * {one}")], "b", 22), Err(KnownHostsError::Empty));
        assert!(matches!(read(&["ssh-ed25519 AAAA"], "b", 22), Err(KnownHostsError::Line { .. })));
        assert!(matches!(read(&["nonsense"], "b", 22), Err(KnownHostsError::Line { .. })));
        assert!(matches!(read(&[&format!("@cert-authority * {one}")], "b", 22), Err(KnownHostsError::CertificateAuthority { .. })));
        assert!(matches!(read(&[&format!("@trusted * {one}")], "b", 22), Err(KnownHostsError::Marker { .. })));
    }

    /// OpenSSH made such keys until 9.8, and no server presents one any more.
    const DSS: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAJuMhu04TMYuL94x01VVzuwFMco86SBLEtTRocuK4mDV4NJ8JqgHHNiMRHTZAPsi0CsnELFukdedA0DSAZKh6lIYk4li\
        gJKFJcMZDm1aRODrx/FK7ULWHNMKXeGj70gwGzpRBY1DYw71SOBwTvwFlT/HdhsANH6HqbH7S4dtpR09AAAAFQCDVJanlQoI0bztOW9gkq8NrH2RTwAAAIEA\
        g8sszQh1KZPZb/DXp4BOt9+94QarqelpghPoO3dhqYzh3TbbLUO4Rfky45v8TpDa4DSpT7FIaHd3/ol37LCNIN0EGZDCVm4e/4fwVGLS0q+mGPY2g4VV/ZMw\
        LRePtx/CM0xO+xBqcaVftJW7S474eJOr8U+/mUV8nNE0dtSrHMwAAACAHAjD4GQfjBIq9gCdUZS/ZJKbLdoGYnHPctojmdNYYKfnL/vkJNmh3X7y1KoEPSiH\
        Pv0pXu5CbAOXY4/KA22BB2Su3K9k7PeXnrDM/UALnPJ3KHqJCu7+oQmy9XBxft18eTDe1iJb/Kp+BKTxSDirRoHZdEEQAcIMf78WRTf82ds=";

    #[test]
    fn a_kind_of_key_that_can_never_match_pins_nothing() {
        let alone = read(&[DSS], "b", 22).unwrap_err();
        assert!(matches!(&alone, KnownHostsError::Line { error: PublicKeyError::Kind, .. }), "{alone}");
        let one = key();
        let beside = read(&[&format!("b {DSS}\nb {one}")], "b", 22);
        assert_eq!(beside, Ok(HostKeys::Pinned { accepted: vec![one], revoked: Vec::new() }));
    }

    #[test]
    fn patterns_are_quick_whatever_they_are() {
        assert!(matches("*", "anything") && matches("a*b*c", "a1b2c") && !matches("a*b", "ac") && matches("**", ""));
        assert!(!matches(&"*a".repeat(60), &"a".repeat(59)));
    }

    #[test]
    fn a_hosts_name_may_look_like_a_kind_of_key() {
        let key = crate::key::PrivateKey::generate_ed25519().unwrap().public();
        for name in ["ssh-bastion.example.com", "sk-ssh-gw", "ecdsa-sha2-nistp256.example"] {
            let host: Host = name.parse().unwrap();
            let read = from_texts(&[&line(&host, Port::SSH, &key)], &host, Port::SSH).unwrap();
            assert_eq!(read, HostKeys::Pinned { accepted: vec![key.clone()], revoked: Vec::new() }, "{name}");
        }
    }
}
