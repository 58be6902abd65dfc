//! This machine's address as the world sees it: asked of a service that answers with one line, whose every byte is doubted.

use std::net::IpAddr;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::http;
use crate::path::heard::Heard;

/// Amazon's own, in the same words for everybody.
const SERVICE: &str = "https://checkip.amazonaws.com/";

/// How long the answer may take: a name, a TLS handshake and one line, on a bad day.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read: an address has 39 signs at the most, and a line's end.
const LONGEST: usize = 64;

/// Asks. An error is what was heard instead of an address; empty if nothing was.
pub(super) async fn ask(service: Option<&str>) -> Result<IpAddr, Heard> {
    tokio::time::timeout(PATIENCE, answer(service.unwrap_or(SERVICE))).await.unwrap_or_else(|_| Err(Heard::default()))
}

async fn answer(service: &str) -> Result<IpAddr, Heard> {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(service).map_err(|_| Heard::from_text(service))?;
    let response = http::alone().call(request).await.map_err(|_| Heard::default())?;
    let status = response.status();
    let mut body = ByteStream::new(response.into_body());
    let mut text = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| Heard::default())?;
        text.extend(piece.iter().take(LONGEST.saturating_add(1).saturating_sub(text.len())));
        if text.len() > LONGEST {
            return Err(Heard::from_bytes(&text));
        }
    }
    if !status.is_success() {
        return Err(Heard::from_text(&format!("{}", status.as_u16())));
    }
    read(&text).ok_or_else(|| Heard::from_bytes(&text))
}

/// One address of one machine; `None` for anything else.
fn read(text: &[u8]) -> Option<IpAddr> {
    let address: IpAddr = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    Some(address.to_canonical()).filter(|address| is_of_one_machine(*address))
}

/// Whether an address can be that of one machine that others see.
pub(super) const fn is_of_one_machine(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => !(four.is_unspecified() || four.is_multicast() || four.is_broadcast() || four.is_link_local()),
        IpAddr::V6(six) => !(six.is_unspecified() || six.is_multicast() || six.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use lab::{Manners, Peer};

    use super::*;

    #[test]
    fn one_address_of_one_machine_is_read_and_nothing_else() {
        for (text, address) in [("203.0.113.7\n", "203.0.113.7"), (" 2001:db8::7 ", "2001:db8::7"), ("::ffff:203.0.113.7", "203.0.113.7")] {
            assert_eq!(read(text.as_bytes()), Some(address.parse().unwrap()), "{text}");
        }
        for bad in [
            "",
            "\n",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "169.254.1.1",
            "::",
            "fe80::1",
            "203.0.113.7/0",
            "203.0.113.7, 198.51.100.1",
        ] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(read(b"\xff\xfe"), None);
    }

    async fn says(answer: &str) -> Result<IpAddr, Heard> {
        let peer = Peer::start(Manners::Answer(answer.as_bytes().to_vec())).unwrap();
        ask(Some(&format!("http://127.0.0.1:{}/", peer.port()))).await
    }

    #[tokio::test]
    async fn an_answer_is_bounded_and_believed_of_success_only() {
        let with = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        assert_eq!(says(&with("200 OK", "203.0.113.7\n")).await, Ok("203.0.113.7".parse().unwrap()));
        assert_eq!(says(&with("503 No", "203.0.113.7\n")).await.unwrap_err().as_str(), "503");
        assert!(says(&with("200 OK", "<html>captive portal</html>")).await.unwrap_err().as_str().contains("captive"));
        let flood = says(&format!("HTTP/1.1 200 OK\r\n\r\n{}", "9".repeat(100_000))).await.unwrap_err();
        assert!(flood.as_str().len() <= LONGEST + 1, "{flood}");
        assert!(says("220 mail ready\r\n").await.is_err());
        let nowhere = format!("http://127.0.0.1:{}/", lab::free_port().unwrap());
        assert!(ask(Some(&nowhere)).await.unwrap_err().is_empty());
    }
}
