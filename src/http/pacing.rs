//! The body of a request has to come at a pace, whatever route reads it: a sender that dribbles holds what others
//! wait for.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpMessage};
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::app::App;

/// Bytes a second, once the first pause is over.
const SLOWEST: u64 = 500;

pub async fn pace(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if let Some(app) = request.app_data::<Data<App>>() {
        let pause = Duration::from_millis(app.config.http.body_timeout_ms);
        let body = request.take_payload();
        request.set_payload(paced(body, pause));
    }
    next.call(request).await
}

/// Whether a body ended because it came too slowly.
pub fn is_too_slow(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

fn paced(body: Payload, pause: Duration) -> Payload {
    if matches!(body, Payload::None) {
        return body;
    }
    let now = Instant::now();
    let timer = Box::pin(sleep_until(now));
    Payload::Stream { payload: Box::pin(Paced { body, pause, begun: now, last: now, received: 0, timer }) }
}

struct Paced<S> {
    body: S,
    /// The longest wait for a next part.
    pause: Duration,
    begun: Instant,
    /// When the last part came.
    last: Instant,
    received: u64,
    timer: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    fn deadline(&self) -> Instant {
        let in_all = self.begun + self.pause + Duration::from_millis(self.received.saturating_mul(1_000) / SLOWEST);
        in_all.min(self.last + self.pause)
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let deadline = self.deadline();
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(context).is_ready()
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Stream for Paced<S> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = Pin::new(&mut this.body).poll_next(context);
        if !matches!(next, Poll::Ready(None)) && this.is_late(context) {
            return Poll::Ready(Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))));
        }
        if let Poll::Ready(Some(Ok(part))) = &next {
            this.received += part.len() as u64;
            this.last = Instant::now();
        }
        next
    }
}
