//! Following an orchestration at a server: its stored events, in order, each once, however often the connection is lost.

use std::time::{Duration, Instant};

use domain::orchestration::event::Recorded;
use domain::values::ids::OrchestrationId;
use domain::values::time::Timestamp;
use providers::remote::error::RemoteError;
use providers::remote::{Events, Heard, Remote};
use serde_json::Value;

/// The pause before coming back; each is twice the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a server may be away.
const AWAY_MAX: Duration = Duration::from_secs(120);

/// What passes by is not stored: it says nothing new of the state.
const PASSING: [&str; 3] = ["progress", "partial", "usage"];

/// Who follows one orchestration.
pub struct Following {
    remote: Remote,
    id: OrchestrationId,
    /// The last event that was handed on.
    cursor: u64,
    events: Option<Events>,
    pause: Duration,
    away: Option<Instant>,
}

impl Following {
    /// From behind the event `cursor` on.
    pub fn new(remote: &Remote, id: OrchestrationId, cursor: u64) -> Self {
        Self {
            remote: remote.clone(),
            id,
            cursor,
            events: None,
            pause: PAUSE,
            away: None,
        }
    }

    /// The next events: those that are stored, or the next ones to come. May be given up and asked again.
    ///
    /// # Errors
    /// What the server says; that it was away for too long.
    pub async fn next(&mut self) -> Result<Vec<Recorded>, RemoteError> {
        loop {
            match self.listened().await {
                Ok(news) => {
                    self.pause = PAUSE;
                    self.away = None;
                    if !news.is_empty() {
                        return Ok(news);
                    }
                }
                Err(error) => self.lost(error).await?,
            }
        }
    }

    /// What is stored by the time that the server says something.
    async fn listened(&mut self) -> Result<Vec<Recorded>, RemoteError> {
        let Some(events) = &mut self.events else {
            let path = format!("api/orchestrations/{}/events", self.id);
            let after = [("after", self.cursor.to_string())];
            self.events = Some(self.remote.follow(&path, &after).await?);
            return self.stored().await;
        };
        match events.next().await? {
            Some(heard) if is_news(&heard, self.cursor) => self.stored().await,
            Some(_) => Ok(Vec::new()),
            None => {
                // The server takes its leave: an ended log is read to its end, another one is come back to.
                self.events = None;
                let news = self.stored().await?;
                if news.is_empty() {
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(news)
            }
        }
    }

    async fn stored(&mut self) -> Result<Vec<Recorded>, RemoteError> {
        let news = stored(&self.remote, self.id, self.cursor).await?;
        if let Some(last) = news.last() {
            self.cursor = last.seq;
        }
        Ok(news)
    }

    /// Waits a moment before the next try, or gives up.
    async fn lost(&mut self, error: RemoteError) -> Result<(), RemoteError> {
        self.events = None;
        let since = *self.away.get_or_insert_with(Instant::now);
        if !error.may_pass() || since.elapsed() > AWAY_MAX {
            return Err(error);
        }
        tracing::info!("The connection was lost and will be tried again: {error}");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}

/// Whether an event tells of something behind `cursor`.
fn is_news(heard: &Heard, cursor: u64) -> bool {
    if PASSING.contains(&heard.name.as_str()) {
        return false;
    }
    let seq = serde_json::from_slice::<Value>(&heard.data).ok();
    let seq = seq.and_then(|told| told["seq"].as_u64());
    seq.is_none_or(|seq| seq > cursor)
}

/// All stored events behind `after`.
///
/// # Errors
/// What the server says; that it says it in words of another version.
pub async fn stored(
    remote: &Remote,
    id: OrchestrationId,
    after: u64,
) -> Result<Vec<Recorded>, RemoteError> {
    let path = format!("api/orchestrations/{id}/events");
    let query = [("stored", "1".to_owned()), ("after", after.to_string())];
    let lines = remote.lines(&path, &query).await?;
    let recorded = |line: &Value| {
        Some(Recorded {
            seq: line["seq"].as_u64()?,
            at: Timestamp(line["at"].as_i64()?),
            event: serde_json::from_str(line["data"].as_str()?).ok()?,
        })
    };
    let read = lines.iter().map(|line| {
        recorded(line).ok_or_else(|| RemoteError::Strange {
            url: remote.url(),
            reason: "this program cannot read one of its events; is it a newer version?".to_owned(),
        })
    });
    read.collect()
}
