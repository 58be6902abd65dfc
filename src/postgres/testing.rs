//! Postgres' messages for this room's tests.

use tokio::io::{AsyncReadExt, DuplexStream};

/// A message of Postgres' protocol.
pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// AuthenticationOk.
pub(super) const AUTHENTICATED: &[u8] = b"R\0\0\0\x08\0\0\0\0";

/// An ErrorResponse; without a routine, as a pooler sends it.
pub(super) fn error_response(sqlstate: &str, routine: &str, words: &str) -> Vec<u8> {
    let routine = if routine.is_empty() { String::new() } else { format!("R{routine}\0") };
    message(b'E', format!("SFATAL\0VFATAL\0C{sqlstate}\0M{words}\0{routine}\0").as_bytes())
}

/// Reads a startup message, without its length.
pub(super) async fn read_startup(stream: &mut DuplexStream) -> Vec<u8> {
    let length = stream.read_u32().await.unwrap();
    let mut body = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut body).await.unwrap();
    body
}
