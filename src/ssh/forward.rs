//! From a session to a stream that ends at the database: a direct-tcpip channel.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{ChannelOpenFailure, ChannelStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::client::{Client, Events};
use super::error::ForwardError;
use super::session::Session;
use crate::path::heard::Heard;
use crate::path::route::{Host, Port};

/// A stream through the bastion. Closes its channel when dropped; the session stays up for others.
pub struct Channel {
    /// There until the drop.
    stream: Option<ChannelStream<Msg>>,
    runtime: tokio::runtime::Handle,
}

impl Session {
    /// Opens a channel to a host as the bastion sees it.
    ///
    /// # Errors
    ///
    /// [`ForwardError`], by what sshd says. Silence is the database's only if the bastion itself still answers; if it does not, the session
    /// is given up.
    pub async fn open(&self, host: &Host, port: Port, within: Duration) -> Result<Channel, ForwardError> {
        // In a task of its own: russh leaks a channel whose opening is cancelled. The task ends with the answer or the session, and a
        // channel that nobody takes any more is closed.
        let mut opening = tokio::spawn(open(Arc::clone(&self.handle), Arc::clone(&self.events), host.as_str().to_owned(), port));
        let half = within / 2;
        let opened = match timeout(half, &mut opening).await {
            Ok(opened) => opened,
            Err(_) => {
                let handle = Arc::clone(&self.handle);
                let ping = tokio::spawn(async move { handle.send_ping().await });
                match timeout(half, &mut opening).await {
                    Ok(opened) => opened,
                    Err(_) if ping.is_finished() && self.is_alive() => return Err(ForwardError::Silent),
                    Err(_) => {
                        self.give_up("no answer to a keepalive");
                        return Err(ForwardError::SessionLost { heard: self.ended() });
                    }
                }
            }
        };
        match opened {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(Some(refusal))) => Err(refusal),
            // The session is ending; why is known when its wire is gone.
            Ok(Err(None)) | Err(_) => {
                let _in_time = timeout(half, self.hold.gone()).await;
                Err(ForwardError::SessionLost { heard: self.ended() })
            }
        }
    }
}

/// No error: the session ended.
async fn open(handle: Arc<Handle<Client>>, events: Arc<Events>, host: String, port: Port) -> Result<Channel, Option<ForwardError>> {
    // The originator is only logged by sshd; the client's own address would say something about this machine's network.
    match handle.channel_open_direct_tcpip(host, u32::from(port.get()), "127.0.0.1", 0).await {
        Ok(channel) => Ok(Channel { stream: Some(channel.into_stream()), runtime: tokio::runtime::Handle::current() }),
        Err(russh::Error::ChannelOpenFailure(reason)) => Err(Some(of_refusal(&reason, events.refusal().await))),
        Err(_) => Err(None),
    }
}

fn of_refusal(reason: &ChannelOpenFailure, heard: Heard) -> ForwardError {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => ForwardError::Prohibited { heard },
        ChannelOpenFailure::ConnectFailed => ForwardError::DialFailed { heard },
        ChannelOpenFailure::ResourceShortage => ForwardError::Shortage { heard },
        ChannelOpenFailure::UnknownChannelType => ForwardError::UnknownType { heard },
        _ => ForwardError::UnknownType { heard: if heard.is_empty() { Heard::from_text("unknown reason") } else { heard } },
    }
}

impl Channel {
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut ChannelStream<Msg>>> {
        self.get_mut().stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // russh's own drop spawns a task, and panics where there is no runtime.
        let _runtime = self.runtime.enter();
        self.stream = None;
    }
}

impl AsyncRead for Channel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
