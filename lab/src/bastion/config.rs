//! The sshd_config of the bastion.

use std::{fmt::Write, path::Path};

/// The type of a host key or a client's key, in the words of `ssh-keygen -t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// ed25519.
    Ed25519,
    /// ECDSA on P-256.
    Ecdsa,
    /// RSA of 3072 bits, which takes some 0.2 s to make.
    Rsa,
}

impl KeyType {
    /// The word that ssh-keygen knows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            KeyType::Ed25519 => "ed25519",
            KeyType::Ecdsa => "ecdsa",
            KeyType::Rsa => "rsa",
        }
    }
}

/// What a test may set otherwise: sshd takes the first of two lines, so these are left out where a line of the test has their keyword.
/// They are as on a bastion that a careful person set up; `StrictModes` is sshd's own default, said because a fault hangs on it.
const DEFAULTS: [(&str, &str); 5] = [
    ("StrictModes", "yes"),
    ("AllowTcpForwarding", "yes"),
    ("LogLevel", "VERBOSE"),
    ("LoginGraceTime", "20"),
    ("MaxStartups", "10:30:100"),
];

/// The first version whose sshd refuses an address for a while after a few failed logins. A test that fails to log in on purpose would
/// shut out all others on loopback, so it is off unless a line turns it on.
const PENALTIES_SINCE: (u32, u32) = (9, 8);

/// The whole file. `lines` are a test's own; they come last, so that a `Match` block swallows nothing.
pub(crate) fn sshd_config(folder: &Path, port: u16, keys: &[KeyType], version: (u32, u32), lines: &[String]) -> String {
    let folder = folder.display();
    let mut text = format!("ListenAddress 127.0.0.1\nPort {port}\nPidFile none\n");
    let _ = writeln!(text, "AuthorizedKeysFile {folder}/home/%u/.ssh/authorized_keys");
    text.push_str("UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n");
    for key in keys {
        let _ = writeln!(text, "HostKey {folder}/{}", host_key_file(*key));
    }
    let penalties = (version >= PENALTIES_SINCE).then_some(("PerSourcePenalties", "no"));
    for (keyword, value) in DEFAULTS.into_iter().chain(penalties) {
        if !lines.iter().any(|line| line.split([' ', '\t', '=']).next().is_some_and(|word| word.eq_ignore_ascii_case(keyword))) {
            let _ = writeln!(text, "{keyword} {value}");
        }
    }
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The file of the host key of a type, in the bastion's folder; its public half has `.pub` added.
pub(crate) fn host_key_file(key: KeyType) -> String {
    format!("host_key_{}", key.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_test_replaces_the_default() {
        let lines = ["maxstartups 1".to_owned(), "Match User neo".to_owned(), "AllowTcpForwarding no".to_owned()];
        let text = sshd_config(Path::new("/x"), 2200, &[KeyType::Ed25519, KeyType::Rsa], (9, 2), &lines);
        assert!(!text.contains("MaxStartups"), "{text}");
        assert!(
            text.ends_with("StrictModes yes\nLogLevel VERBOSE\nLoginGraceTime 20\nmaxstartups 1\nMatch User neo\nAllowTcpForwarding no\n"),
            "{text}"
        );
        assert!(text.contains("HostKey /x/host_key_ed25519\nHostKey /x/host_key_rsa\n"), "{text}");
    }

    #[test]
    fn penalties_are_off_where_they_exist() {
        let text = |version| sshd_config(Path::new("/x"), 2200, &[], version, &[]);
        assert!(!text((9, 7)).contains("PerSourcePenalties"));
        assert!(text((10, 0)).contains("PerSourcePenalties no"));
    }
}
