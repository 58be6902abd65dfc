//! From a session to a stream that ends at the database: a direct-tcpip channel.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelOpenFailure, ChannelStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::client::Events;
use super::error::ForwardError;
use super::session::Session;
use crate::path::heard::Heard;
use crate::path::route::{Host, Port};

/// A stream through the bastion. Closes its channel when dropped; the session stays up for others.
pub struct Channel(ChannelStream<Msg>);

impl Session {
    /// Opens a channel to a host as the bastion sees it.
    ///
    /// # Errors
    ///
    /// [`ForwardError`], by what sshd says.
    pub async fn open(&self, host: &Host, port: Port, within: Duration) -> Result<Channel, ForwardError> {
        let handle = Arc::clone(&self.handle);
        let host = host.as_str().to_owned();
        // In a task of its own: russh leaks a channel whose opening is cancelled. The task ends with the answer, and a stream that
        // nobody takes any more closes its channel.
        let opening = tokio::spawn(async move {
            // The originator is only logged by sshd; the client's own address would say something about this machine's network.
            let channel = handle.channel_open_direct_tcpip(host, u32::from(port.get()), "127.0.0.1", 0).await?;
            Ok(channel.into_stream())
        });
        match timeout(within, opening).await {
            Ok(Ok(Ok(stream))) => Ok(Channel(stream)),
            Ok(Ok(Err(error))) => Err(of_open(&error, &self.events)),
            Ok(Err(_)) => Err(ForwardError::SessionLost { heard: self.ended() }),
            Err(_) => Err(ForwardError::Silent),
        }
    }
}

fn of_open(error: &russh::Error, events: &Events) -> ForwardError {
    let russh::Error::ChannelOpenFailure(reason) = error else {
        return ForwardError::SessionLost { heard: events.ended() };
    };
    let heard = std::mem::take(&mut events.seen().last_refusal);
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => ForwardError::Prohibited { heard },
        ChannelOpenFailure::ConnectFailed => ForwardError::DialFailed { heard },
        ChannelOpenFailure::ResourceShortage => ForwardError::Shortage { heard },
        ChannelOpenFailure::UnknownChannelType => ForwardError::UnknownType { heard },
        _ => ForwardError::UnknownType { heard: if heard.is_empty() { Heard::from_text("unknown reason") } else { heard } },
    }
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
