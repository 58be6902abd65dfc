//! Servers for this room's tests: russh's own server side, and peers that are no SSH servers at all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::HashAlg;
use russh::keys::signature::Signer;
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session as ServerSession, VerifiedPublicKey, run_stream,
};
use russh::{Channel as ServerChannel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::connect::{Tcp, connect, resolve};
use super::error::{AuthenticateError, ForwardError, HandshakeError};
use super::forward::Channel;
use super::handshake::handshake;
use super::session::Session;
use crate::key::{HostKeys, PrivateKey, PublicKey};
use crate::path::route::{Address, Port};
use crate::secret::Secret;

/// Far more than anything here takes, on the slowest machine.
pub(super) const LONG: Duration = Duration::from_secs(20);
/// Long enough for an answer on loopback, short enough to wait for silence.
pub(super) const SHORT: Duration = Duration::from_millis(300);

/// A server on loopback that is gone when dropped.
pub(super) struct Peer {
    pub(super) port: u16,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens, and treats every client alike.
pub(super) async fn peer<F, A>(treat: F) -> Peer
where
    F: Fn(TcpStream) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(treat(client));
        }
    });
    Peer { port, task }
}

/// Says something and closes, once the client's version has come: else the close is a reset, which can overtake the words.
pub(super) async fn says_and_closes(words: &'static str) -> Peer {
    peer(move |mut client| async move {
        let _ = client.readable().await;
        let _ = client.try_read(&mut [0; 256]);
        let _ = client.write_all(words.as_bytes()).await;
        let _ = client.shutdown().await;
    })
    .await
}

pub(super) async fn connected(port: u16) -> Tcp {
    let port = Port::try_from(i64::from(port)).unwrap();
    let addresses = resolve(&Address::new("127.0.0.1".parse().unwrap(), port), LONG).await.unwrap();
    connect(&addresses, LONG).await.unwrap()
}

pub(super) fn pinned(key: &PublicKey) -> HostKeys {
    HostKeys::Pinned { accepted: vec![key.clone()], revoked: Vec::new() }
}

/// An RSA key as `ssh-keygen` makes it.
pub(super) fn rsa_key() -> PrivateKey {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let keygen = std::process::Command::new("ssh-keygen").args(["-q", "-t", "rsa", "-b", "3072", "-N", "", "-f"]).arg(&file).status();
    assert!(keygen.expect("ssh-keygen is needed here").success());
    PrivateKey::parse(&Secret::from(std::fs::read_to_string(&file).unwrap()), None).unwrap()
}

/// A server that agrees to sign with its RSA key and SHA-512, and then signs with whatever hash it likes; no hash is SHA-1. It ends with the
/// key exchange (RFC 4253; RFC 8731).
pub(super) async fn signs_with(key: PrivateKey, hash: Option<HashAlg>) -> Peer {
    peer(move |client| {
        let key = key.clone();
        async move { drop(exchange(client, &key, hash).await) }
    })
    .await
}

async fn exchange(mut client: TcpStream, key: &PrivateKey, hash: Option<HashAlg>) -> std::io::Result<()> {
    const VERSION: &str = "SSH-2.0-signs";
    let (cipher, mac) = ("aes256-gcm@openssh.com", "hmac-sha2-256");
    let lists = ["curve25519-sha256", "rsa-sha2-512", cipher, cipher, mac, mac, "none", "none", "", ""];
    let lists: Vec<u8> = lists.iter().flat_map(|list| string(list.as_bytes())).collect();
    let ours = [&[20][..], &[7; 16], &lists, &[0; 5]].concat();
    client.write_all(format!("{VERSION}\r\n").as_bytes()).await?;
    client.write_all(&packet(&ours)).await?;
    let mut version = Vec::new();
    while !version.ends_with(b"\r\n") {
        version.push(client.read_u8().await?);
    }
    version.truncate(version.len() - 2);
    let theirs = read_packet(&mut client).await?;
    let asked = read_packet(&mut client).await?;
    let random = ring::rand::SystemRandom::new();
    let secret = ring::agreement::EphemeralPrivateKey::generate(&ring::agreement::X25519, &random).unwrap();
    let public = secret.compute_public_key().unwrap();
    let point = ring::agreement::UnparsedPublicKey::new(&ring::agreement::X25519, asked[5..].to_vec());
    let shared = ring::agreement::agree_ephemeral(secret, &point, mpint).unwrap();
    let host_key = key.as_russh().public_key().to_bytes().unwrap();
    let hashed = [&version, VERSION.as_bytes(), &theirs, &ours, &host_key, &asked[5..], public.as_ref()].map(string).concat();
    let hashed = ring::digest::digest(&ring::digest::SHA256, &[hashed, shared].concat());
    let signature = (key.as_russh().key_data().rsa().unwrap(), hash).try_sign(hashed.as_ref()).unwrap();
    let signature = [signature.algorithm().as_str().as_bytes(), signature.as_bytes()].map(string).concat();
    let reply = [&host_key, public.as_ref(), &signature].map(string).concat();
    client.write_all(&packet(&[&[31][..], &reply].concat())).await?;
    client.write_all(&packet(&[21])).await?;
    let _until_the_client_ends = client.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A positive number, as the standard writes one.
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap();
    let sign = if bytes[start] & 0x80 == 0 { &[][..] } else { &[0] };
    string([sign, &bytes[start..]].concat())
}

/// A packet in the clear: a multiple of eight bytes, of which the padding has four at least.
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 11 - (payload.len() + 8) % 8;
    string([&[u8::try_from(padding).unwrap()][..], payload, &vec![0; padding]].concat())
}

async fn read_packet(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![0; client.read_u32().await?.try_into().unwrap()];
    client.read_exact(&mut packet).await?;
    Ok(packet[1..packet.len() - usize::from(packet[0])].to_vec())
}

/// What the server does with a key that is offered: the user's name and the algorithm decide.
pub(super) type Judge = fn(&str, &str) -> Auth;

/// How a server is set up, and what it notes.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) config: Arc<Config>,
    pub(super) judge: Judge,
    pub(super) notes: Arc<Notes>,
}

/// What happened on a server, each by how often: `offered tf`, `opened echo`, `closed echo`, `ended`.
#[derive(Default)]
pub(super) struct Notes {
    counts: Mutex<HashMap<String, usize>>,
    /// Lets channels to the host `late` come about.
    pub(super) open_late: Notify,
}

impl Notes {
    fn note(&self, what: &str) {
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn count(&self, what: &str) -> usize {
        self.counts.lock().unwrap().get(what).copied().unwrap_or_default()
    }

    /// Waits until something has happened that often.
    pub(super) async fn until(&self, what: &str, count: usize) {
        wait_until(&format!("{count} x {what}"), || self.count(what) >= count).await;
        assert_eq!(self.count(what), count, "{what}");
    }
}

/// Looks until it is so.
pub(super) async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + LONG;
    while !is_so() {
        assert!(tokio::time::Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An SSH server with one host key.
pub(super) struct Server {
    peer: Peer,
    pub(super) host_key: PublicKey,
    pub(super) notes: Arc<Notes>,
}

impl Server {
    /// Accepts every key.
    pub(super) async fn start() -> Self {
        Self::with(|_, _| Auth::Accept, |_| ()).await
    }

    pub(super) async fn with(judge: Judge, set: impl FnOnce(&mut Config)) -> Self {
        let host_key = PrivateKey::generate_ed25519().unwrap();
        let mut config = Config {
            keys: vec![host_key.as_russh().clone()],
            auth_rejection_time: Duration::ZERO,
            nodelay: true,
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            ..Config::default()
        };
        set(&mut config);
        let plan = Plan { config: Arc::new(config), judge, notes: Arc::default() };
        let notes = Arc::clone(&plan.notes);
        let peer = peer(move |client| serve(client, plan.clone())).await;
        Self { peer, host_key: host_key.public(), notes }
    }

    pub(super) fn port(&self) -> u16 {
        self.peer.port
    }

    pub(super) async fn log_in(&self, user: &str, key: &PrivateKey) -> Result<Session, AuthenticateError> {
        log_in(self.port(), &self.host_key, user, key).await
    }

    pub(super) async fn handshake(&self, host_keys: &HostKeys) -> Result<super::handshake::Trusted, HandshakeError> {
        handshake(connected(self.port()).await, host_keys, LONG).await
    }

    /// The same by way of a relay.
    pub(super) async fn relayed(&self) -> (lab::Relay, Session) {
        let relay = lab::Relay::start(([127, 0, 0, 1], self.port())).unwrap();
        let key = PrivateKey::generate_ed25519().unwrap();
        let session = log_in(relay.port(), &self.host_key, "tf", &key).await.ok().unwrap();
        (relay, session)
    }

    /// A session of a user with a key of their own.
    pub(super) async fn session(&self) -> Session {
        self.log_in("tf", &PrivateKey::generate_ed25519().unwrap()).await.ok().unwrap()
    }
}

/// A channel to what a server makes of a name.
pub(super) async fn to(session: &Session, host: &str, within: Duration) -> Result<Channel, ForwardError> {
    session.open(&Address::new(host.parse().unwrap(), Port::POSTGRES)).within(within).await
}

/// Logs in by way of any port.
pub(super) async fn log_in(port: u16, host_key: &PublicKey, user: &str, key: &PrivateKey) -> Result<Session, AuthenticateError> {
    let trusted = handshake(connected(port).await, &pinned(host_key), LONG).await.ok().unwrap();
    trusted.authenticate(user, key, LONG).await
}

async fn serve(client: TcpStream, plan: Plan) {
    client.set_nodelay(true).unwrap();
    let notes = Arc::clone(&plan.notes);
    notes.note("connected");
    if let Ok(session) = run_stream(Arc::clone(&plan.config), client, plan).await {
        let _ended = session.await;
    }
    notes.note("ended");
}

impl Handler for Plan {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        self.notes.note(&format!("offered {user}"));
        Ok((self.judge)(user, offer.algorithm.as_str()))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.notes.note(&format!("accepted {user} {}", key.algorithm.as_str()));
        Ok(Auth::Accept)
    }

    /// What is told to `refuse` is answered as if the channel were yet to be opened.
    async fn data(&mut self, channel: ChannelId, data: &[u8], session: &mut ServerSession) -> Result<(), Self::Error> {
        if data == b"refuse" {
            session.channel_open_failure(channel, ChannelOpenFailure::ConnectFailed, "stale words", "")?;
        }
        Ok(())
    }

    /// The host's name says what becomes of the channel: `echo`, `late`, `silent`, `opens`, `prohibited`, a port of loopback, or refused in words with
    /// the name.
    async fn channel_open_direct_tcpip(
        &mut self,
        channel: ServerChannel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        session: &mut ServerSession,
    ) -> Result<(), Self::Error> {
        self.notes.note(&format!("asked {host}"));
        let (host, notes) = (host.to_owned(), Arc::clone(&self.notes));
        match host.as_str() {
            "echo" | "late" => drop(tokio::spawn(echo(channel, host, notes, reply))),
            "silent" => drop(tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop((channel, reply));
            })),
            "127.0.0.1" => drop(tokio::spawn(async move {
                let port = u16::try_from(port).unwrap();
                let mut target = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
                reply.accept().await;
                let _copied = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut target).await;
            })),
            "opens" => drop(tokio::spawn(opens(channel, notes, reply, session.handle()))),
            "prohibited" => reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await,
            _ => reply.reject(ChannelOpenFailure::Other { code: 2, reason: format!("{host}: Connection refused") }).await,
        }
        Ok(())
    }
}

async fn echo(channel: ServerChannel<Msg>, host: String, notes: Arc<Notes>, reply: ChannelOpenHandle) {
    if host == "late" {
        notes.open_late.notified().await;
    }
    reply.accept().await;
    notes.note(&format!("opened {host}"));
    let (mut from, mut to) = tokio::io::split(channel.into_stream());
    let _copied = tokio::io::copy(&mut from, &mut to).await;
    notes.note(&format!("closed {host}"));
}

/// Tries to open channels towards the client.
async fn opens(mut channel: ServerChannel<Msg>, notes: Arc<Notes>, reply: ChannelOpenHandle, handle: russh::server::Handle) {
    reply.accept().await;
    channel.wait().await;
    let asked = [
        handle.channel_open_session().await.is_ok(),
        handle.channel_open_forwarded_tcpip("127.0.0.1", 1, "127.0.0.1", 1).await.is_ok(),
        handle.channel_open_x11("127.0.0.1", 1).await.is_ok(),
    ];
    asked.iter().for_each(|taken| notes.note(if *taken { "taken" } else { "refused" }));
}

/// Only these algorithms.
pub(super) fn only<T: Clone>(names: &[T]) -> Cow<'static, [T]> {
    Cow::Owned(names.to_vec())
}
