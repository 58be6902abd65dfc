//! The socket below an SSH session: acknowledges at once, and remembers how the conversation began.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How much may come before the version line. RFC 4253 allows other lines; an honest banner is far below this.
const LONGEST_PREAMBLE: usize = 16 * 1024;

/// How much of the beginning is kept: enough to quote, and to recognise a protocol.
const KEPT: usize = 1024;

/// The first bytes that a server sent, up to and including its version line.
#[derive(Default)]
pub(super) struct Transcript(Mutex<State>);

#[derive(Default)]
struct State {
    kept: Vec<u8>,
    line: Vec<u8>,
    received: usize,
    version: Option<String>,
}

impl Transcript {
    /// What came before the version, for a quote.
    pub(super) fn preamble(&self) -> Vec<u8> {
        self.lock().kept.clone()
    }

    /// The version line, once it is complete.
    pub(super) fn version(&self) -> Option<String> {
        self.lock().version.clone()
    }

    /// Whether more came than any honest server sends.
    pub(super) fn flooded(&self) -> bool {
        let state = self.lock();
        state.version.is_none() && state.received > LONGEST_PREAMBLE
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was read; an error once the preamble is too long.
    fn take(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        if state.version.is_some() {
            return Ok(());
        }
        for byte in bytes {
            state.received += 1;
            if state.kept.len() < KEPT {
                state.kept.push(*byte);
            }
            if *byte == b'\n' {
                if state.line.starts_with(b"SSH-") {
                    let line = String::from_utf8_lossy(&state.line).trim_end().to_owned();
                    state.version = Some(line);
                    return Ok(());
                }
                state.line.clear();
            } else if state.line.len() < KEPT {
                state.line.push(*byte);
            }
        }
        if state.received > LONGEST_PREAMBLE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too much before the SSH version"));
        }
        Ok(())
    }
}

/// A TCP stream with a transcript.
pub(super) struct Wire {
    stream: TcpStream,
    transcript: Arc<Transcript>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> (Self, Arc<Transcript>) {
        let transcript = Arc::new(Transcript::default());
        (Self { stream, transcript: Arc::clone(&transcript) }, transcript)
    }
}

/// Acknowledges what was read without the usual delay of 40 ms: sshd does not send the next packet before the last is acknowledged
/// (measured: opening a channel takes 3 ms instead of 44). Linux forgets the setting, so it is set after each read.
#[cfg(target_os = "linux")]
fn acknowledge(stream: &TcpStream) {
    // Only slower without it.
    let _set = socket2::SockRef::from(stream).set_tcp_quickack(true);
}

#[cfg(not(target_os = "linux"))]
const fn acknowledge(_stream: &TcpStream) {}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        acknowledge(&self.stream);
        Poll::Ready(self.transcript.take(buf.filled().get(before..).unwrap_or_default()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_behind_other_lines_however_it_arrives() {
        let transcript = Transcript::default();
        for byte in b"hello\r\nSSH-2.0-Test_1 comment\r\n\0\0binary" {
            transcript.take(&[*byte]).unwrap();
        }
        assert_eq!(transcript.version().as_deref(), Some("SSH-2.0-Test_1 comment"));
        assert!(transcript.preamble().starts_with(b"hello\r\nSSH-2.0"));
    }

    #[test]
    fn a_flood_ends_the_reading() {
        let transcript = Transcript::default();
        assert!((0..10_000).any(|_| transcript.take(b"welcome to the jungle\r\n").is_err()));
        assert!(transcript.flooded() && transcript.preamble().len() == KEPT);
    }
}
