//! The writer's queue: what arrived while the last transaction ran becomes the next batch.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::prepare::Prepared;
use crate::write::{CommitError, Committed};

/// Row sets in one transaction at most: beyond about a thousand the disk's sync is a small part of the cost already.
pub(crate) const BATCH_SETS: usize = 1024;

/// Bytes in one transaction, about: bounds memory, and how long the last caller of a batch waits for the first.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// Row sets that may wait for the writer before `commit` itself waits.
pub(crate) const WAITING: usize = 4096;

/// A row set and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) set: Prepared,
    pub(crate) answer: Option<oneshot::Sender<Answer>>,
}

/// Row sets of one transaction, boxed: they are handed on several times, and are hundreds of bytes each.
#[allow(clippy::vec_box)]
pub(crate) type Batch = Vec<Box<Waiting>>;

/// What was made of a row set, and the row set itself: its caller has time to drop it, the writer has not.
pub(crate) type Answer = (Result<Committed, CommitError>, Box<Waiting>);

impl Waiting {
    /// Answers the caller.
    pub(crate) fn answered((mut waiting, answer): (Box<Self>, Result<Committed, CommitError>)) {
        if let Some(to) = waiting.answer.take() {
            // Nobody waits any more when the caller was dropped.
            let _ = to.send((answer, waiting));
        }
    }
}

/// What the writer is asked: `O` is any other piece of work on the writer's connection.
pub(crate) enum Request<O> {
    Commit(Box<Waiting>),
    Other(O),
}

/// What the writer does next.
pub(crate) enum Next<O> {
    Batch(Batch),
    Other(O),
}

/// From one batch's beginning to the next one's while there is much to do: what a transaction costs by itself, the pages that
/// neighbours share above all, is then paid by more of them.
const PACE: Duration = Duration::from_millis(8);

/// Row sets in a batch from which on there is much to do.
const MANY: usize = 8;

/// How often to look, while waiting, whether most of those who are under way wait as well.
const LOOK: Duration = Duration::from_micros(500);

/// How many orchestrations have attempts under way, each of which will bring a row set.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

/// An orchestration with attempts under way, until it is dropped.
#[derive(Debug)]
pub struct Expected(UnderWay);

impl UnderWay {
    /// One more.
    pub(crate) fn expect(&self) -> Expected {
        self.0.fetch_add(1, Ordering::Relaxed);
        Expected(self.clone())
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The receiving end, with what was held back for a later batch.
pub(crate) struct Queue<O> {
    inbox: mpsc::Receiver<Request<O>>,
    waiting: VecDeque<Request<O>>,
    drawn: Vec<Request<O>>,
    under_way: UnderWay,
    /// When the last batch began, and how many row sets it had.
    last: Option<(Instant, usize)>,
}

impl<O> Queue<O> {
    pub(crate) fn new(inbox: mpsc::Receiver<Request<O>>, under_way: UnderWay) -> Self {
        Self {
            inbox,
            waiting: VecDeque::new(),
            drawn: Vec::new(),
            under_way,
            last: None,
        }
    }

    /// Blocks until there is something to do; `None` when every sender is gone and nothing waits.
    pub(crate) fn next_blocking(&mut self) -> Option<Next<O>> {
        while let Some(rest) = self.rest() {
            std::thread::sleep(rest);
        }
        if self.waiting.is_empty() {
            self.inbox.blocking_recv_many(&mut self.drawn, BATCH_SETS);
        }
        self.draw()
    }

    /// The same, for a writer that is a future.
    pub(crate) async fn next(&mut self) -> Option<Next<O>> {
        while let Some(rest) = self.rest() {
            tokio::time::sleep(rest).await;
        }
        if self.waiting.is_empty() {
            self.inbox.recv_many(&mut self.drawn, BATCH_SETS).await;
        }
        self.draw()
    }

    /// How long to wait for others now.
    fn rest(&self) -> Option<Duration> {
        let last = self.last.map(|(began, sets)| (began.elapsed(), sets));
        let waiting = self.waiting.len() + self.inbox.len();
        rest(last, waiting, self.under_way.0.load(Ordering::Relaxed))
    }

    /// Takes in what has arrived, then makes a batch: at most one row set an orchestration, in the order of arrival.
    fn draw(&mut self) -> Option<Next<O>> {
        self.waiting.extend(self.drawn.drain(..));
        while self.waiting.len() < BATCH_SETS
            && let Ok(request) = self.inbox.try_recv()
        {
            self.waiting.push_back(request);
        }
        let mut batch = Batch::new();
        let mut held_back = VecDeque::new();
        let mut ids = HashSet::new();
        let mut bytes = 0;
        while let Some(request) = self.waiting.pop_front() {
            match request {
                Request::Other(other) if batch.is_empty() => {
                    debug_assert!(held_back.is_empty());
                    return Some(Next::Other(other));
                }
                Request::Other(_) => {
                    held_back.push_back(request);
                    break;
                }
                Request::Commit(waiting) => {
                    if !ids.insert(waiting.set.rows.orchestration.id) {
                        held_back.push_back(Request::Commit(waiting));
                        continue;
                    }
                    bytes += waiting.set.bytes;
                    batch.push(waiting);
                    if batch.len() >= BATCH_SETS || bytes >= BATCH_BYTES {
                        break;
                    }
                }
            }
        }
        while let Some(request) = held_back.pop_back() {
            self.waiting.push_front(request);
        }
        self.last = Some((Instant::now(), batch.len()));
        (!batch.is_empty()).then_some(Next::Batch(batch))
    }
}

/// How long the next batch waits for company before anybody looks again: no longer than the pace from the beginning of the `last` one
/// (how long ago that was, and how many row sets it had), not where little is to do, and not where three quarters of the
/// orchestrations under way wait already. Nothing where it is due.
fn rest(last: Option<(Duration, usize)>, waiting: usize, under_way: usize) -> Option<Duration> {
    let (ago, _) = last.filter(|(_, sets)| *sets >= MANY)?;
    let rest = PACE.saturating_sub(ago);
    let are_missing = 4 * waiting < 3 * under_way;
    (are_missing && !rest.is_zero()).then_some(rest.min(LOOK))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ago(micros: u64, sets: usize) -> Option<(Duration, usize)> {
        Some((Duration::from_micros(micros), sets))
    }

    #[test]
    fn a_batch_waits_for_most_of_those_under_way_where_much_is_to_do() {
        assert_eq!(rest(ago(0, MANY), 47, 64), Some(LOOK));
        assert_eq!(rest(ago(0, MANY), 48, 64), None, "three quarters wait");
        assert_eq!(rest(ago(0, MANY), 0, 0), None, "nobody is under way");
        assert_eq!(rest(ago(0, MANY - 1), 0, 64), None, "little was to do");
        assert_eq!(rest(None, 0, 64), None, "nothing was done yet");
    }

    #[test]
    fn a_batch_waits_no_longer_than_the_pace() {
        assert_eq!(rest(ago(7_400, 99), 1, 64), Some(LOOK));
        let left = Some(Duration::from_micros(300));
        assert_eq!(rest(ago(7_700, 99), 1, 64), left, "what is left of it");
        assert_eq!(rest(ago(8_000, 99), 1, 64), None);
        assert_eq!(rest(ago(9_000_000, 99), 1, 64), None);
        // Who looks again each time, and never sees enough of them, goes on when the pace is over.
        let (mut waited, mut looks) = (Duration::ZERO, 0);
        while let Some(more) = rest(Some((waited, MANY)), 1, 2) {
            waited += more;
            looks += 1;
        }
        assert_eq!((waited, looks), (PACE, 16));
    }
}
