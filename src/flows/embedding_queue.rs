//! Where texts wait for the model: what is urgent before what isn't, in groups of about as many tokens.
//!
//! Texts of all requests and of ingest meet here, so that a group is full whoever sent its texts. What nobody
//! waits for any longer leaves unseen. The queue is bounded: who brings more waits until there is room.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use std::{io, thread};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::embed::EmbedError;
use crate::adapters::inference::{Embedder, InferenceError, Tokens};
use crate::telemetry::{LaneLabel, Metrics};

/// Tokens that may wait in each lane.
const ROOM: usize = 32_768;
/// Tokens of a group on the processor: more makes a thread no faster, and others wait longer.
const GROUP_TOKENS: usize = 512;
/// On an accelerator, which is faster the more it gets.
const ACCELERATOR_GROUP_TOKENS: usize = 8_192;
/// Urgent work is shared out among the threads, but not in pieces smaller than this.
const SMALLEST_SHARE: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Somebody waits for the answer.
    Urgent,
    Bulk,
}

type Reply = oneshot::Sender<Result<Vec<f32>, Arc<InferenceError>>>;

struct Waiting {
    tokens: Tokens,
    reply: Reply,
    since: Instant,
    /// Held by whoever wants the vector, where that isn't who waits for the reply.
    wanted: Option<Weak<()>>,
    /// Given back when this leaves the queue.
    _room: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed() || self.wanted.as_ref().is_some_and(|wanted| wanted.strong_count() == 0)
    }
}

/// As long as it is held, somebody wants what was asked for.
#[derive(Default)]
pub struct Wanted(Arc<()>);

/// A vector that the model is at.
pub(super) struct Coming(oneshot::Receiver<Result<Vec<f32>, Arc<InferenceError>>>);

impl Coming {
    pub(super) async fn vector(self) -> Result<Vec<f32>, EmbedError> {
        self.0.await.map_err(|_| EmbedError::Stopped)?.map_err(EmbedError::Inference)
    }

    /// For a thread that may block.
    pub(super) fn blocking_vector(self) -> Result<Vec<f32>, EmbedError> {
        self.0.blocking_recv().map_err(|_| EmbedError::Stopped)?.map_err(EmbedError::Inference)
    }
}

#[derive(Default)]
struct Lanes {
    urgent: VecDeque<Waiting>,
    bulk: VecDeque<Waiting>,
    /// Threads that wait for work of either lane.
    idle: usize,
    closed: bool,
}

struct Shared {
    lanes: Mutex<Lanes>,
    /// Woken for work of either lane.
    work_came: Condvar,
    /// Where the thread waits that leaves bulk work alone.
    urgent_came: Condvar,
    embedder: Arc<Embedder>,
    metrics: Arc<Metrics>,
    group_tokens: usize,
    workers: usize,
}

pub(super) struct EmbeddingQueue {
    shared: Arc<Shared>,
    urgent_room: Arc<Semaphore>,
    bulk_room: Arc<Semaphore>,
}

impl EmbeddingQueue {
    /// On the processor: a thread for each core, and one more that takes urgent work only, so that a question never
    /// waits for bulk work to end. An accelerator is fed by one thread.
    pub(super) fn start(embedder: Arc<Embedder>, metrics: Arc<Metrics>) -> io::Result<Self> {
        let on_processor = embedder.is_on_cpu();
        let workers = if on_processor { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
        let shared = Arc::new(Shared {
            lanes: Mutex::default(),
            work_came: Condvar::new(),
            urgent_came: Condvar::new(),
            embedder,
            metrics,
            group_tokens: if on_processor { GROUP_TOKENS } else { ACCELERATOR_GROUP_TOKENS },
            workers,
        });
        let room = || Arc::new(Semaphore::new(ROOM));
        let queue = Self { shared: shared.clone(), urgent_room: room(), bulk_room: room() };
        for number in 0..workers + usize::from(on_processor) {
            let (shared, only_urgent) = (shared.clone(), number == workers);
            thread::Builder::new().name(format!("embedding-{number}")).spawn(move || shared.work(only_urgent))?;
        }
        Ok(queue)
    }

    /// One vector per text, in order. Dropped, it takes its texts out of the queue.
    pub(super) async fn vectors(&self, lane: Lane, texts: Vec<Tokens>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut replies = Vec::with_capacity(texts.len());
        let mut texts = texts.into_iter().peekable();
        while texts.peek().is_some() {
            let (mut some, mut total) = (Vec::new(), 0);
            while let Some(tokens) = texts.next_if(|next| some.is_empty() || total + next.len() <= ROOM / 4) {
                total += tokens.len();
                some.push(tokens);
            }
            replies.extend(self.enqueue(lane, some, total, None).await?);
        }
        let mut vectors = Vec::with_capacity(replies.len());
        for reply in replies {
            vectors.push(reply.vector().await?);
        }
        Ok(vectors)
    }

    /// The vector of one text, for whichever thread; it leaves the queue when `wanted` is dropped.
    pub(super) async fn submit(&self, lane: Lane, text: Tokens, wanted: &Wanted) -> Result<Coming, EmbedError> {
        let length = text.len();
        let replies = self.enqueue(lane, vec![text], length, Some(Arc::downgrade(&wanted.0))).await?;
        replies.into_iter().next().ok_or(EmbedError::Stopped)
    }

    async fn enqueue(
        &self,
        lane: Lane,
        texts: Vec<Tokens>,
        total: usize,
        wanted: Option<Weak<()>>,
    ) -> Result<Vec<Coming>, EmbedError> {
        let semaphore = match lane {
            Lane::Urgent => self.urgent_room.clone(),
            Lane::Bulk => self.bulk_room.clone(),
        };
        let tokens = u32::try_from(total.min(ROOM)).unwrap_or(u32::MAX);
        let mut room = semaphore.acquire_many_owned(tokens).await.map_err(|_| EmbedError::Stopped)?;
        let mut lanes = self.shared.lanes();
        let queue = match lane {
            Lane::Urgent => &mut lanes.urgent,
            Lane::Bulk => &mut lanes.bulk,
        };
        let since = Instant::now();
        let mut replies = Vec::with_capacity(texts.len());
        for tokens in texts {
            let (reply, receiver) = oneshot::channel();
            let room = room.split(tokens.len());
            queue.push_back(Waiting { tokens, reply, since, wanted: wanted.clone(), _room: room });
            replies.push(Coming(receiver));
        }
        self.shared.count(&lanes);
        self.shared.wake(&lanes, lane);
        Ok(replies)
    }
}

impl Drop for EmbeddingQueue {
    fn drop(&mut self) {
        self.shared.lanes().closed = true;
        self.shared.work_came.notify_all();
        self.shared.urgent_came.notify_all();
    }
}

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, lanes: &Lanes) {
        for (lane, waiting) in [(Lane::Urgent, &lanes.urgent), (Lane::Bulk, &lanes.bulk)] {
            let waiting = i64::try_from(waiting.len()).unwrap_or(i64::MAX);
            self.metrics.embedding_waiting.get_or_create(&lane.label()).set(waiting);
        }
    }

    /// A question alone wakes one thread: the others would only stand in its way.
    fn wake(&self, lanes: &Lanes, lane: Lane) {
        if lane == Lane::Urgent && lanes.is_one_question_for_an_idle_thread() {
            return self.work_came.notify_one();
        }
        self.work_came.notify_all();
        if lane == Lane::Urgent {
            self.urgent_came.notify_one();
        }
    }

    /// A worker's life: groups, until the queue is closed.
    fn work(&self, only_urgent: bool) {
        while let Some((lane, group)) = self.next_group(only_urgent) {
            for waiting in &group {
                let waited = waiting.since.elapsed().as_secs_f64();
                self.metrics.embedding_queue_time.get_or_create(&lane.label()).observe(waited);
            }
            let started = Instant::now();
            let tokens: Vec<&Tokens> = group.iter().map(|waiting| &waiting.tokens).collect();
            // A defect in one group must not cost a thread; those who wait for it see their reply dropped.
            let computed = catch_unwind(AssertUnwindSafe(|| self.embedder.compute(&tokens)));
            self.metrics.embedding_compute_time.observe(started.elapsed().as_secs_f64());
            self.metrics.embedding_tokens.inc_by(tokens.iter().map(|tokens| tokens.len() as u64).sum());
            match computed {
                // A receiver that is gone has no use for it.
                Ok(Ok(vectors)) => group.into_iter().zip(vectors).for_each(|(waiting, vector)| {
                    let _ = waiting.reply.send(Ok(vector));
                }),
                Ok(Err(error)) => {
                    let error = Arc::new(error);
                    group.into_iter().for_each(|waiting| {
                        let _ = waiting.reply.send(Err(error.clone()));
                    });
                }
                Err(_) => tracing::error!(texts = group.len(), "the model broke off"),
            }
        }
    }

    fn next_group(&self, only_urgent: bool) -> Option<(Lane, Vec<Waiting>)> {
        let mut lanes = self.lanes();
        loop {
            if lanes.closed {
                return None;
            }
            if let Some(group) = lanes.take(only_urgent, self.group_tokens, self.workers) {
                self.count(&lanes);
                return Some(group);
            }
            if only_urgent {
                lanes = self.urgent_came.wait(lanes).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            lanes.idle += 1;
            lanes = self.work_came.wait(lanes).unwrap_or_else(PoisonError::into_inner);
            lanes.idle -= 1;
        }
    }
}

impl Lanes {
    /// One that waits behind another may be left over: the thread that was woken for the other may take that alone.
    fn is_one_question_for_an_idle_thread(&self) -> bool {
        self.urgent.len() == 1 && self.idle > 0
    }

    /// The next texts to compute together, or `None` when there are none that anybody waits for.
    fn take(&mut self, only_urgent: bool, most: usize, workers: usize) -> Option<(Lane, Vec<Waiting>)> {
        let waiting: usize = self.urgent.iter().map(|waiting| waiting.tokens.len()).sum();
        let share = waiting.div_ceil(workers.max(1)).clamp(SMALLEST_SHARE, most.max(SMALLEST_SHARE));
        let urgent = take_from(&mut self.urgent, share);
        if !urgent.is_empty() {
            return Some((Lane::Urgent, urgent));
        }
        let bulk = if only_urgent { Vec::new() } else { take_from(&mut self.bulk, most) };
        (!bulk.is_empty()).then_some((Lane::Bulk, bulk))
    }
}

/// As many as have `most` tokens together, one at least; what nobody waits for is dropped on the way.
fn take_from(queue: &mut VecDeque<Waiting>, most: usize) -> Vec<Waiting> {
    let (mut group, mut total) = (Vec::new(), 0);
    while let Some(next) = queue.front() {
        if next.is_abandoned() {
            queue.pop_front();
            continue;
        }
        total += next.tokens.len();
        if total > most && !group.is_empty() {
            break;
        }
        group.extend(queue.pop_front());
    }
    group
}

impl Lane {
    fn label(self) -> LaneLabel {
        let lane = match self {
            Self::Urgent => "urgent",
            Self::Bulk => "bulk",
        };
        LaneLabel { lane: lane.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Receiver = oneshot::Receiver<Result<Vec<f32>, Arc<InferenceError>>>;

    fn waiting(length: usize) -> (Waiting, Receiver) {
        let (reply, receiver) = oneshot::channel();
        let tokens = Tokens::from_ids(vec![7; length]);
        (Waiting { tokens, reply, since: Instant::now(), wanted: None, _room: None }, receiver)
    }

    fn lengths(group: Option<(Lane, Vec<Waiting>)>) -> Option<(Lane, Vec<usize>)> {
        group.map(|(lane, group)| (lane, group.iter().map(|waiting| waiting.tokens.len()).collect()))
    }

    #[test]
    fn urgent_work_overtakes_bulk_work_and_groups_keep_to_their_budget() {
        let mut lanes = Lanes::default();
        let mut receivers = Vec::new();
        for length in [200, 200, 200, 600] {
            let (waiting, receiver) = waiting(length);
            lanes.bulk.push_back(waiting);
            receivers.push(receiver);
        }
        assert_eq!(lengths(lanes.take(false, 512, 2)), Some((Lane::Bulk, vec![200, 200])));
        let (question, receiver) = waiting(14);
        receivers.push(receiver);
        lanes.urgent.push_back(question);
        assert_eq!(lengths(lanes.take(false, 512, 2)), Some((Lane::Urgent, vec![14])));
        assert_eq!(lengths(lanes.take(true, 512, 2)), None, "one thread leaves bulk work alone");
        assert_eq!(lengths(lanes.take(false, 512, 2)), Some((Lane::Bulk, vec![200])));
        assert_eq!(lengths(lanes.take(false, 512, 2)), Some((Lane::Bulk, vec![600])), "one text always goes");
        assert_eq!(lengths(lanes.take(false, 512, 2)), None);
    }

    #[test]
    fn urgent_work_is_shared_out_among_the_threads() {
        let mut lanes = Lanes::default();
        let (queued, _receivers): (Vec<Waiting>, Vec<Receiver>) = (0..20).map(|_| waiting(30)).unzip();
        lanes.urgent.extend(queued);
        assert_eq!(lengths(lanes.take(false, 512, 2)), Some((Lane::Urgent, vec![30; 10])));
    }

    #[test]
    fn one_thread_is_woken_for_a_question_alone_and_every_thread_for_more() {
        let mut lanes = Lanes { idle: 1, ..Lanes::default() };
        let (first, _one) = waiting(14);
        let (second, _other) = waiting(14);
        lanes.urgent.push_back(first);
        assert!(lanes.is_one_question_for_an_idle_thread());
        lanes.urgent.push_back(second);
        assert!(!lanes.is_one_question_for_an_idle_thread(), "who was woken may have the first only");
        lanes.urgent.pop_back();
        lanes.idle = 0;
        assert!(!lanes.is_one_question_for_an_idle_thread(), "bulk work has all threads but one");
    }

    #[test]
    fn what_nobody_waits_for_leaves_the_queue() {
        let mut lanes = Lanes::default();
        let (gone, receiver) = waiting(100);
        let (wanted, _receiver) = waiting(50);
        drop(receiver);
        lanes.bulk.extend([gone, wanted]);
        assert_eq!(lengths(lanes.take(false, 512, 2)), Some((Lane::Bulk, vec![50])));
    }

    #[test]
    fn what_another_thread_waits_for_leaves_the_queue_when_its_asker_goes() {
        let asker = Wanted::default();
        let mut lanes = Lanes::default();
        let (question, _receiver) = waiting(14);
        lanes.urgent.push_back(Waiting { wanted: Some(Arc::downgrade(&asker.0)), ..question });
        assert_eq!(lengths(lanes.take(false, 512, 2)), Some((Lane::Urgent, vec![14])));
        let (question, _receiver) = waiting(14);
        lanes.urgent.push_back(Waiting { wanted: Some(Arc::downgrade(&asker.0)), ..question });
        drop(asker);
        assert_eq!(lengths(lanes.take(false, 512, 2)), None);
    }
}
