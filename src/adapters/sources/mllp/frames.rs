//! Messages out of a stream of bytes, whatever stands between them and however they are cut.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{END, START};

/// Read at once; also what a message's place in the budget grows by.
const STEP: usize = 16 * 1024;
/// What is kept of a message that is too long: enough to know whom to answer.
const HEAD: usize = 4 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub enum Arrived {
    Message(Vec<u8>),
    /// Its first bytes only: it was longer than is taken.
    TooLong(Vec<u8>),
    /// Its first bytes only: there was no room for it just then.
    NoRoom(Vec<u8>),
}

/// Bytes that may be held at once, shared by all connections of a listener.
#[derive(Clone, Debug)]
pub struct Budget {
    steps: Arc<Semaphore>,
    /// How long a message waits for room.
    patience: Duration,
}

impl Budget {
    pub fn new(bytes: usize) -> Self {
        Self { steps: Arc::new(Semaphore::new((bytes / STEP).max(1))), patience: Duration::from_secs(10) }
    }

    async fn step(&self) -> Option<OwnedSemaphorePermit> {
        tokio::time::timeout(self.patience, self.steps.clone().acquire_owned()).await.ok()?.ok()
    }
}

/// Why bytes of a message aren't kept any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shed {
    TooLong,
    NoRoom,
}

pub(super) struct Frames<R> {
    from: R,
    limit: usize,
    message_time: Duration,
    budget: Budget,
    /// Read, but not yet looked at.
    waiting: Vec<u8>,
    /// The places in the budget of the message in hand, until it is answered.
    held: Vec<OwnedSemaphorePermit>,
    chunk: Box<[u8]>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub fn new(from: R, limit: usize, message_time: Duration, budget: Budget) -> Self {
        let chunk = vec![0; STEP].into_boxed_slice();
        Self { from, limit, message_time, budget, waiting: Vec::new(), held: Vec::new(), chunk }
    }

    /// The message in hand has its answer: its bytes are held no more.
    pub fn answered(&mut self) {
        self.held.clear();
    }

    /// The next message, waited for as long as it takes to begin; `None` when the sender closes between messages.
    ///
    /// Errors: the connection broke, closed or fell silent within a message, which is then not one.
    pub async fn next(&mut self) -> io::Result<Option<Arrived>> {
        while !self.skip_to_start() {
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
        let message_time = self.message_time;
        tokio::time::timeout(message_time, self.message()).await.map_err(|_| io::ErrorKind::TimedOut)?.map(Some)
    }

    async fn read(&mut self) -> io::Result<usize> {
        let read = self.from.read(&mut self.chunk).await?;
        self.waiting.extend_from_slice(self.chunk.get(..read).unwrap_or_default());
        Ok(read)
    }

    /// Drops what stands before the next message; whether one begins.
    fn skip_to_start(&mut self) -> bool {
        match self.waiting.iter().position(|byte| *byte == START) {
            Some(start) => {
                self.waiting.drain(..=start);
                true
            }
            None => {
                self.waiting.clear();
                false
            }
        }
    }

    async fn message(&mut self) -> io::Result<Arrived> {
        let (mut message, mut shed) = (Vec::new(), None);
        loop {
            let end = self.waiting.iter().position(|byte| *byte == END[0]);
            let taken: Vec<u8> = self.waiting.drain(..end.unwrap_or(self.waiting.len())).collect();
            shed = match shed {
                None => self.keep(&mut message, &taken).await,
                already => already,
            };
            if end.is_some() {
                self.waiting.drain(..1);
                return Ok(match shed {
                    None => Arrived::Message(message),
                    Some(Shed::TooLong) => Arrived::TooLong(message),
                    Some(Shed::NoRoom) => Arrived::NoRoom(message),
                });
            }
            if self.read().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Adds to the message, or gives up all but its head.
    async fn keep(&mut self, message: &mut Vec<u8>, taken: &[u8]) -> Option<Shed> {
        message.extend_from_slice(taken);
        let mut shed = (message.len() > self.limit).then_some(Shed::TooLong);
        while shed.is_none() && self.held.len() * STEP < message.len() {
            match self.budget.step().await {
                Some(place) => self.held.push(place),
                None => shed = Some(Shed::NoRoom),
            }
        }
        if shed.is_some() {
            message.truncate(HEAD);
            message.shrink_to_fit();
            self.held.clear();
        }
        shed
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn without_room_a_message_is_answered_so() {
        let (mut sender, receiver) = tokio::io::duplex(64);
        let budget = Budget { steps: Arc::new(Semaphore::new(0)), patience: Duration::ZERO };
        let mut frames = Frames::new(receiver, 100, Duration::from_secs(20), budget);
        sender.write_all(b"\x0bMSH|\x1c\r").await.unwrap();
        assert_eq!(frames.next().await.unwrap(), Some(Arrived::NoRoom(b"MSH|".to_vec())));
    }
}
