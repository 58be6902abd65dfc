//! A private key's text as people paste it, brought back to the form that parsers want.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The longest text looked at: an RSA key of 16384 bits takes some 13 KiB.
const LONGEST: usize = 64 * 1024;

/// The width of a PEM line (RFC 7468).
const WIDTH: usize = 64;

/// One PEM block.
pub(super) struct Pem {
    /// `OPENSSH PRIVATE KEY`, …
    pub(super) label: String,
    /// `DEK-Info: …`, in old formats.
    pub(super) headers: Vec<String>,
    /// The whole block, one clean line after the other.
    pub(super) text: Zeroizing<String>,
}

/// Finds the private key in a text: indented, on one line, with a literal `\n` for each line end, base64 of the whole, or as it should be.
pub(super) fn find(text: &str) -> Option<Pem> {
    if text.len() > LONGEST {
        return None;
    }
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n").replace('\r', ""));
    if text.contains("-----BEGIN ") {
        return block(&text);
    }
    let packed = Zeroizing::new(text.split_whitespace().collect::<String>());
    let decoded = Zeroizing::new(STANDARD.decode(packed.as_bytes()).ok()?);
    let decoded = Zeroizing::new(std::str::from_utf8(&decoded).ok()?.replace('\r', ""));
    if decoded.contains("-----BEGIN ") { block(&decoded) } else { None }
}

/// The first block whose label is a private key's; `EC PARAMETERS` may come before it.
fn block(text: &str) -> Option<Pem> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once("-----BEGIN ")?;
        let (label, after) = after.split_once("-----")?;
        // A missing END line is forgiven, as OpenSSH forgives it.
        let body = after.split_once("-----END ").map_or(after, |(body, _)| body);
        if label.ends_with("PRIVATE KEY") {
            return Some(rebuild(label, body));
        }
        rest = after;
    }
}

fn rebuild(label: &str, body: &str) -> Pem {
    let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    let (headers, data): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.contains(": "));
    let data = Zeroizing::new(data.concat().split_whitespace().collect::<String>());
    let mut text = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    for header in &headers {
        text.push_str(header);
        text.push('\n');
    }
    if !headers.is_empty() {
        text.push('\n');
    }
    for (position, character) in data.chars().enumerate() {
        if position > 0 && position % WIDTH == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    Pem { label: label.to_owned(), headers: headers.into_iter().map(str::to_owned).collect(), text }
}
