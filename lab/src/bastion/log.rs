//! What sshd wrote into its log, at LogLevel VERBOSE.

/// One try to log in with a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The login's name.
    pub user: String,
    /// The client's port on 127.0.0.1: two logins of one connection cannot be, so it tells them apart.
    pub port: u16,
    /// The fingerprint of the key that was offered, `SHA256:…`.
    pub fingerprint: String,
}

/// The accepted logins, in order.
pub(crate) fn accepted(log: &str) -> Vec<Login> {
    log.lines().filter_map(|line| login(line.strip_prefix("Accepted publickey for ")?)).collect()
}

/// The refused keys, in order. sshd does not note keys that were offered for a login that does not exist.
pub(crate) fn refused(log: &str) -> Vec<Login> {
    log.lines().filter_map(|line| login(line.strip_prefix("Failed publickey for ")?)).collect()
}

/// Parses `neosync from 127.0.0.1 port 56212 ssh2: ED25519 SHA256:…`.
fn login(text: &str) -> Option<Login> {
    let words: Vec<&str> = text.strip_prefix("invalid user ").unwrap_or(text).split(' ').collect();
    match words.as_slice() {
        [user, "from", _, "port", port, "ssh2:", _, fingerprint, ..] => {
            Some(Login { user: (*user).to_owned(), port: port.parse().ok()?, fingerprint: (*fingerprint).to_owned() })
        }
        _ => None,
    }
}

/// The names that were asked for and do not exist, in order.
pub(crate) fn unknown_users(log: &str) -> Vec<String> {
    log.lines().filter_map(|line| Some(line.strip_prefix("Invalid user ")?.split(' ').next()?.to_owned())).collect()
}

/// How many TCP connections arrived.
pub(crate) fn connections(log: &str) -> usize {
    log.lines().filter(|line| line.starts_with("Connection from ")).count()
}

/// How many logged-in clients said goodbye.
pub(crate) fn disconnects(log: &str) -> usize {
    log.lines().filter(|line| line.starts_with("Disconnected from user ")).count()
}

/// The processes that served logged-in clients; most of them may have ended.
pub(crate) fn session_pids(log: &str) -> Vec<u32> {
    log.lines().filter_map(|line| line.strip_prefix("User child is on pid ")?.trim().parse().ok()).collect()
}

/// How often sshd began to listen: once for each start and each reload.
pub(crate) fn starts(log: &str) -> usize {
    log.lines().filter(|line| line.starts_with("Server listening on ")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by OpenSSH 9.2.
    const LOG: &str = "\
Server listening on 127.0.0.1 port 21234.
Connection from 127.0.0.1 port 56228 on 127.0.0.1 port 21234 rdomain \"\"
Accepted key ED25519 SHA256:0Qq8KrxFH05trhiGe found at /tmp/home/neo/.ssh/authorized_keys:1
Accepted publickey for neo from 127.0.0.1 port 56228 ssh2: ED25519 SHA256:0Qq8KrxFH05trhiGe
User child is on pid 13066
Disconnected from user neo 127.0.0.1 port 56228
Connection from 127.0.0.1 port 56240 on 127.0.0.1 port 21234 rdomain \"\"
Failed publickey for neo from 127.0.0.1 port 56240 ssh2: ED25519 SHA256:S5AhJFzmWSBa
Connection closed by authenticating user neo 127.0.0.1 port 56240 [preauth]
Invalid user nobody2 from 127.0.0.1 port 56246
Connection closed by invalid user nobody2 127.0.0.1 port 56246 [preauth]
";

    #[test]
    fn a_log_is_counted() {
        let login = |port, fingerprint: &str| Login { user: "neo".into(), port, fingerprint: fingerprint.into() };
        assert_eq!(accepted(LOG), [login(56228, "SHA256:0Qq8KrxFH05trhiGe")]);
        assert_eq!(refused(LOG), [login(56240, "SHA256:S5AhJFzmWSBa")]);
        assert_eq!(unknown_users(LOG), ["nobody2"]);
        assert_eq!((connections(LOG), disconnects(LOG), starts(LOG)), (2, 1, 1));
        assert_eq!(session_pids(LOG), [13066]);
    }
}
