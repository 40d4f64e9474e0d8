//! A connection of the product's port: TLS where it is set, and an end for whoever holds it without using it.
//!
//! The server ends a first request whose head is slow, and a connection on which nothing comes. What begins another
//! request and never ends it, or takes nothing of an answer, it would leave open: [`Connection`] ends those.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::Protocol;
use actix_http::error::DispatchError;
use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::config::HttpConfig;

/// Bytes that are read late, as by a server that has more to do than it can, still get so long to become a request.
const GRACE: Duration = Duration::from_secs(1);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a TLS handshake, and for the head of a request.
    pub head: Duration,
    /// Between two requests.
    pub keep_alive: Duration,
    /// To take some of an answer.
    pub answer: Duration,
}

impl From<&HttpConfig> for Patience {
    fn from(config: &HttpConfig) -> Self {
        Self {
            head: Duration::from_millis(config.head_timeout_ms),
            keep_alive: Duration::from_millis(config.keep_alive_ms),
            answer: Duration::from_millis(config.answer_timeout_ms),
        }
    }
}

/// Requests of one connection that are being answered, and when it was last of use.
pub struct Pulse {
    answering: Cell<usize>,
    /// When a request began or ended, or some of an answer was taken: bytes that come are no sign of use.
    last: Cell<Instant>,
}

impl Pulse {
    fn new() -> Rc<Self> {
        Rc::new(Self { answering: Cell::new(0), last: Cell::new(Instant::now()) })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

pub struct Connection {
    stream: Box<dyn Duplex>,
    pulse: Rc<Pulse>,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    /// When bytes came.
    came: Option<Instant>,
    /// Since when an answer waits to be taken.
    stalled_since: Option<Instant>,
}

impl Connection {
    fn new(stream: Box<dyn Duplex>, patience: Patience) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        Self { stream, pulse: Pulse::new(), patience, timer, came: None, stalled_since: None }
    }

    pub fn pulse(&self) -> Rc<Pulse> {
        self.pulse.clone()
    }

    /// While a request is answered there is none, unless its answer isn't taken.
    fn deadline(&self) -> Option<Instant> {
        match self.stalled_since {
            Some(since) => Some(since + self.patience.answer),
            None if self.pulse.answering.get() == 0 => {
                let usual = self.pulse.last.get() + self.patience.keep_alive + self.patience.head;
                // Who sends byte after byte gains no more than the time for a head by it.
                let late = self.came.map_or(usual, |came| (came + GRACE).min(usual + self.patience.head));
                Some(usual.max(late))
            }
            None => None,
        }
    }

    /// Ready once the deadline is past; else whoever asks is woken then.
    fn out_of_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(deadline) = self.deadline() else { return Poll::Pending };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    fn after_writing<T>(&mut self, result: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled_since = None;
            self.pulse.last.set(Instant::now());
            return result;
        }
        self.stalled_since.get_or_insert_with(Instant::now);
        self.out_of_patience(context).map(Err)
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let held = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(context, buffer);
        if buffer.filled().len() > held {
            this.came = Some(Instant::now());
            return result;
        }
        match this.out_of_patience(context) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => result,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.after_writing(result, context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_flush(context) {
            // Nothing waits to be written: no sign of use.
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => this.after_writing(Poll::Pending, context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_shutdown(context);
        this.after_writing(result, context)
    }
}

/// Takes up a connection, by TLS where it is set.
pub async fn accept(
    socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    patience: Patience,
) -> Result<(Connection, Protocol, Option<SocketAddr>), DispatchError> {
    let peer = socket.peer_addr().ok();
    socket.set_nodelay(true)?;
    let stream: Box<dyn Duplex> = match tls {
        None => Box::new(socket),
        Some(config) => {
            let handshake = timeout(patience.head, TlsAcceptor::from(config).accept(socket));
            Box::new(handshake.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??)
        }
    };
    Ok((Connection::new(stream, patience), Protocol::Http1, peer))
}

/// Notes on a request's connection that it is being answered, until the last of the answer is handed over.
pub async fn note_use(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let answering = request.conn_data::<Rc<Pulse>>().cloned().map(Answering::begin);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Answer { body: body.boxed(), _answering: answering }))
}

/// A request that is being answered.
struct Answering(Rc<Pulse>);

impl Answering {
    fn begin(pulse: Rc<Pulse>) -> Self {
        pulse.answering.set(pulse.answering.get() + 1);
        Self(pulse)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.set(self.0.answering.get() - 1);
        self.0.last.set(Instant::now());
    }
}

struct Answer {
    body: BoxBody,
    _answering: Option<Answering>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { head: Duration::from_secs(10), keep_alive: Duration::from_secs(5), answer: Duration::from_secs(30) };

    /// How long after a connection was last of use it ends, where bytes came so many seconds after that.
    fn deadline(came: Option<u64>) -> Duration {
        let mut connection = Connection::new(Box::new(tokio::io::duplex(1).0), PATIENCE);
        let last = connection.pulse.last.get();
        connection.came = came.map(|seconds| last + Duration::from_secs(seconds));
        connection.deadline().expect("nothing is being answered") - last
    }

    #[tokio::test]
    async fn bytes_that_are_read_late_get_a_second_and_a_dribble_no_more_than_a_head() {
        assert_eq!(deadline(None), Duration::from_secs(15));
        assert_eq!(deadline(Some(3)), Duration::from_secs(15), "bytes in time change nothing");
        assert_eq!(deadline(Some(20)), Duration::from_secs(21));
        assert_eq!(deadline(Some(600)), Duration::from_secs(25));
    }

    #[tokio::test]
    async fn while_a_request_is_answered_there_is_no_deadline() {
        let connection = Connection::new(Box::new(tokio::io::duplex(1).0), PATIENCE);
        let answering = Answering::begin(connection.pulse());
        assert_eq!(connection.deadline(), None);
        drop(answering);
        assert!(connection.deadline().is_some());
    }
}
