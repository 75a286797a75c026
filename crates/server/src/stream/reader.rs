//! One reader's place in a log: it takes part in what the hub tells first, then reads from the store what came before, and
//! goes on live from where the two meet. Whatever was told twice or not at all shows in the numbers.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::stream::cursor::{Cursor, Log};
use crate::stream::hub::{Hub, Hubs, Topic, Unreadable};
use crate::stream::telling::{Passing, Telling};

/// Stored events read at one time by one who was not there.
const REPLAY: i64 = 100;

/// What a reader hears.
#[derive(Debug)]
pub enum News {
    /// Events, of which it has been told those up to the cursor.
    Told(Arc<Telling>, Cursor),
    /// Something that passes by.
    Passing(Passing),
    /// The orchestration has ended, and all was told.
    Ended,
    /// The server is being stopped: come back.
    Closing,
}

/// A reader of a log.
pub struct Reader {
    hubs: Hubs,
    topic: Topic,
    cursor: Cursor,
    /// Reads from the store until it meets what is told live.
    replaying: bool,
    ended: bool,
    live: Option<Joined>,
}

struct Joined {
    tellings: Receiver<Arc<Telling>>,
    deltas: Receiver<Passing>,
    /// As long as it is kept, the hub works.
    _hub: Arc<Hub>,
}

impl Reader {
    /// Follows the log from `cursor` on. `position` is the number of its last event, read from the store before; an ended
    /// log is only read.
    pub fn new(hubs: &Hubs, topic: Topic, cursor: Cursor, position: u64, ended: bool) -> Self {
        let live = (!ended).then(|| {
            let hub = hubs.join(&topic, position);
            Joined {
                tellings: hub.tellings(),
                deltas: hub.deltas(),
                _hub: hub,
            }
        });
        Self {
            hubs: hubs.clone(),
            // What came between the caller's look and the joining was told to others: it is read.
            replaying: live.is_some() || cursor.position < position,
            ended: ended && cursor.position >= position,
            topic,
            cursor,
            live,
        }
    }

    /// Where it is told.
    pub(crate) fn aside(&self) -> &Handle {
        self.hubs.aside()
    }

    /// What comes next. May be given up at any point and asked again.
    ///
    /// # Errors
    /// When the store cannot be read: the reader should come back later.
    pub async fn next(&mut self) -> Result<News, Unreadable> {
        let closing = self.hubs.closing().clone();
        tokio::select! {
            biased;
            () = closing.cancelled() => Ok(News::Closing),
            news = self.news() => news,
        }
    }

    async fn news(&mut self) -> Result<News, Unreadable> {
        loop {
            if self.ended {
                return Ok(News::Ended);
            }
            if self.replaying {
                if let Some(news) = self.replayed().await? {
                    return Ok(news);
                }
                continue;
            }
            let Some(live) = &mut self.live else {
                // An ended log of which nothing is left.
                return Ok(News::Ended);
            };
            tokio::select! {
                biased;
                telling = live.tellings.recv() => match telling {
                    Ok(telling) if telling.last() <= self.cursor.position => {}
                    Ok(telling) if telling.first() <= self.cursor.position + 1 => return Ok(self.told(telling)),
                    // A gap, or more than it could take: it reads that from the store.
                    Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => self.replaying = true,
                },
                passing = live.deltas.recv() => {
                    // One that was missed is gone.
                    if let Ok(passing) = passing {
                        return Ok(News::Passing(passing));
                    }
                }
            }
        }
    }

    async fn replayed(&mut self) -> Result<Option<News>, Unreadable> {
        let telling = self
            .hubs
            .replay(&self.topic, self.cursor.position, REPLAY)
            .await?;
        let is_all = |telling: &Telling| {
            i64::try_from(telling.entries.len()).is_ok_and(|count| count < REPLAY)
        };
        self.replaying = telling.as_deref().is_some_and(|telling| !is_all(telling));
        Ok(telling.map(|telling| self.told(telling)))
    }

    fn told(&mut self, telling: Arc<Telling>) -> News {
        let before = self.cursor;
        self.cursor = Cursor::at(telling.last());
        self.ended = telling.ends() && self.topic.log() == Log::Orchestration;
        News::Told(telling, before)
    }
}
