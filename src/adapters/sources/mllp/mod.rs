//! HL7's minimal lower layer protocol: messages framed on connections that stay open, each answered in turn.
//!
//! A frame is `0x0B`, the message, `0x1C 0x0D`. What stands between frames is skipped; a missing last byte does no
//! harm. A message is answered before the next one is read, so a sender that is answered slowly sends slowly.

mod frames;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use frames::Frames;
pub use frames::{Arrived, Budget};

const START: u8 = 0x0B;
const END: [u8; 2] = [0x1C, 0x0D];

/// A handshake, or an answer that nobody takes, ends a connection after this long.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
#[error("the address can't be listened on")]
pub struct ListenError(#[source] std::io::Error);

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Further connections wait to be taken up.
    pub connections: usize,
    /// Longer messages are answered without being kept.
    pub message_bytes: usize,
    /// Bytes of unanswered messages on all connections together.
    pub unanswered_bytes: usize,
    /// A message that has begun must end within this time.
    pub message_time: Duration,
}

/// An address that is listened on.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
}

impl Listener {
    pub async fn bind(address: &str, tls: Option<Arc<ServerConfig>>, limits: Limits) -> Result<Self, ListenError> {
        let socket = TcpListener::bind(address).await.map_err(ListenError)?;
        Ok(Self { socket, tls: tls.map(TlsAcceptor::from), limits })
    }

    /// The address itself: the port is another one than asked for when that was 0.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Takes up connections until `stopped`; the message that is being answered then is answered first.
    ///
    /// `answer` gives the messages that are sent back for one, if any; `None` closes the connection without a word,
    /// which makes the sender send again.
    pub async fn run<F, A>(self, answer: A, mut stopped: watch::Receiver<bool>)
    where
        A: Fn(Arrived) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Option<Vec<Vec<u8>>>> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let budget = Budget::new(self.limits.unanswered_bytes);
        let mut connections = JoinSet::new();
        while !*stopped.borrow() {
            let Ok(place) = places.clone().acquire_owned().await else { break };
            let taken = tokio::select! {
                taken = self.socket.accept() => taken,
                _ = stopped.changed() => break,
            };
            while connections.try_join_next().is_some() {}
            let Ok((socket, _)) = taken else {
                // Out of descriptors, most likely: connections that end make room.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let talk = Talk { limits: self.limits, budget: budget.clone(), stopped: stopped.clone() };
            let (tls, answer) = (self.tls.clone(), answer.clone());
            connections.spawn(async move {
                let _place = place;
                talk.begin(socket, tls, answer).await;
            });
        }
        while connections.join_next().await.is_some() {}
    }
}

/// One connection.
struct Talk {
    limits: Limits,
    budget: Budget,
    stopped: watch::Receiver<bool>,
}

impl Talk {
    async fn begin<F, A>(self, socket: TcpStream, tls: Option<TlsAcceptor>, answer: A)
    where
        A: Fn(Arrived) -> F,
        F: Future<Output = Option<Vec<Vec<u8>>>>,
    {
        let _ = socket.set_nodelay(true);
        match tls {
            None => self.hold(socket, answer).await,
            Some(acceptor) => match tokio::time::timeout(PATIENCE, acceptor.accept(socket)).await {
                Ok(Ok(secured)) => self.hold(secured, answer).await,
                _ => tracing::warn!("a connection for HL7 messages failed to agree on TLS"),
            },
        }
    }

    async fn hold<S, F, A>(mut self, stream: S, answer: A)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        A: Fn(Arrived) -> F,
        F: Future<Output = Option<Vec<Vec<u8>>>>,
    {
        let (from, mut to) = tokio::io::split(stream);
        let mut frames = Frames::new(from, self.limits.message_bytes, self.limits.message_time, self.budget.clone());
        while !*self.stopped.borrow() {
            let arrived = tokio::select! {
                // What has arrived is answered before a stop is heard.
                biased;
                arrived = frames.next() => arrived,
                _ = self.stopped.changed() => return,
            };
            let Ok(Some(arrived)) = arrived else { return };
            let Some(replies) = answer(arrived).await else { return };
            frames.answered();
            match tokio::time::timeout(PATIENCE, send(&mut to, &replies)).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
    }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), replies: &[Vec<u8>]) -> std::io::Result<()> {
    for reply in replies {
        let mut frame = Vec::with_capacity(reply.len() + 3);
        frame.push(START);
        frame.extend_from_slice(reply);
        frame.extend_from_slice(&END);
        to.write_all(&frame).await?;
    }
    to.flush().await
}

#[cfg(test)]
mod tests;
