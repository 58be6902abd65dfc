//! Names inside URLs: the characters that mean something there are written as `%XX`.

/// Writes every byte that could mean something in a URL as `%XX`.
#[must_use]
pub fn encode(text: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if keep(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Reads `%XX` back; nothing if the text is no URL's.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            // A number may start with a plus sign, this one may not.
            if !pair.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for name in ["app", "a/b@c%", "päth?&=+ ", ""] {
            assert_eq!(decode(&encode(name)).as_deref(), Some(name));
        }
        assert_eq!(encode("a b/ä"), "a%20b%2F%C3%A4");
        assert_eq!(decode("%2b+"), Some("++".to_owned()));
        for bad in ["%", "%2", "%zz", "%+2", "%ff"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
