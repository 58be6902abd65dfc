//! The line of authorized_keys that lets a key open tunnels and nothing else.

use super::public::PublicKey;

/// Why a target cannot stand in `permitopen`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a target for permitopen; write host:port, or [address]:port for IPv6")]
pub struct PermitOpenError(pub String);

/// `restrict,port-forwarding[,permitopen="host:port"]… type base64 [comment]` (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
///
/// `restrict` takes everything away, so what a later sshd invents is off too; `port-forwarding` gives back the one thing needed.
/// No target in `permit_open` means any target. A line break in `comment` becomes a blank, so that it cannot add a line.
///
/// # Errors
///
/// A target that is not `host:port`: a quotation mark or a line break in it would add options or lines of its own.
pub fn authorized_keys_line(key: &PublicKey, permit_open: &[String], comment: &str) -> Result<String, PermitOpenError> {
    let mut line = String::from("restrict,port-forwarding");
    for target in permit_open {
        if !is_target(target) {
            return Err(PermitOpenError(target.clone()));
        }
        line.push_str(&format!(",permitopen=\"{target}\""));
    }
    line.push_str(&format!(" {key}"));
    let comment: String = comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if !comment.trim().is_empty() {
        line.push(' ');
        line.push_str(comment.trim());
    }
    Ok(line)
}

/// sshd takes a number or `*` as the port, and compares the host as text with what the client asks for.
fn is_target(target: &str) -> bool {
    let Some((host, port)) = target.rsplit_once(':') else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | '?');
    let host_fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(plain),
    };
    host_fits && (port == "*" || port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn the_line_allows_tunnels_only() {
        let key = KEY.parse().unwrap();
        assert_eq!(authorized_keys_line(&key, &[], "").unwrap(), format!("restrict,port-forwarding {KEY}"));
        let targets = ["db.internal:5432".to_owned(), "[::1]:5432".to_owned()];
        assert_eq!(
            authorized_keys_line(&key, &targets, "neosync 1").unwrap(),
            format!(r#"restrict,port-forwarding,permitopen="db.internal:5432",permitopen="[::1]:5432" {KEY} neosync 1"#)
        );
    }

    #[test]
    fn neither_a_target_nor_a_comment_can_add_a_line_or_an_option() {
        let key = KEY.parse().unwrap();
        let line = authorized_keys_line(&key, &[], "a\nssh-rsa AAAA\r").unwrap();
        assert_eq!(line, format!("restrict,port-forwarding {KEY} a ssh-rsa AAAA"));
        for bad in ["db", "db:", "db:0", "db:65536", ":22", "a\",pty,command=\"x:1", "a\nb:1", "::1:22", "a b:1"] {
            assert_eq!(authorized_keys_line(&key, &[bad.to_owned()], ""), Err(PermitOpenError(bad.to_owned())));
        }
    }
}
