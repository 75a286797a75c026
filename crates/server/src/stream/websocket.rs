//! A reader's news over a WebSocket: one text message a client event.

use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::Bytes;
use futures_util::SinkExt;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::api::error::{Code, Problem};
use crate::stream::filter::Filter;
use crate::stream::reader::{News, Reader};

/// The subprotocol that is selected when it is offered.
pub const PROTOCOL: &str = "afterplan.v1";

/// Longest wait for a client's own close.
const CLOSING: Duration = Duration::from_secs(30);

/// Heartbeats that may stay unanswered.
const UNANSWERED_MAX: u32 = 2;

/// Readers have nothing to say but pongs and a close.
const INCOMING_MAX: usize = 4 * 1024;

/// Written to the connection when so much has gathered, or at a telling's end.
const GATHERED: usize = 8 * 1024;

/// Why a connection ends.
enum End {
    /// Close it, saying why.
    Close(u16, &'static str),
    /// It is lost already.
    Lost,
}

/// The upgrade that is asked for. That no foreign page asks where a browser alone is what lets it in is seen to at the door.
///
/// # Errors
/// When none is asked for.
pub fn upgrade(
    asked: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, Problem> {
    let refused = |refused| format!("this route speaks WebSocket alone: {refused}");
    asked.map_err(|error| Problem::new(Code::NotAcceptable, refused(error)))
}

/// Answers the upgrade; what the reader hears goes to the client, until the end. A ping each `heartbeat`.
pub fn respond(
    upgrade: WebSocketUpgrade,
    reader: Reader,
    filter: Filter,
    heartbeat: Duration,
) -> Response {
    let aside = reader.aside().clone();
    upgrade
        .protocols([PROTOCOL])
        // A thousand readers each have these.
        .read_buffer_size(1024)
        .write_buffer_size(GATHERED)
        .max_message_size(INCOMING_MAX)
        .max_frame_size(INCOMING_MAX)
        .on_upgrade(move |socket| async move {
            let telling = tell(socket, reader, filter, heartbeat);
            // Where that is being stopped, so are its connections.
            let _ = aside.spawn(telling).await;
        })
}

async fn tell(mut socket: WebSocket, reader: Reader, filter: Filter, heartbeat: Duration) {
    let told = tell_all(&mut socket, reader, &filter, heartbeat).await;
    let End::Close(code, reason) = told else {
        return;
    };
    let close = CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    };
    if socket.send(Message::Close(Some(close))).await.is_err() {
        return;
    }
    // The client's own close, so that it does not meet a reset with messages still on their way.
    let _ = timeout(CLOSING, async {
        while let Some(Ok(_)) = socket.recv().await {}
    })
    .await;
}

async fn tell_all(
    socket: &mut WebSocket,
    mut reader: Reader,
    filter: &Filter,
    heartbeat: Duration,
) -> End {
    let mut beat = interval(heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.reset();
    let mut unanswered = 0;
    loop {
        let told = tokio::select! {
            biased;
            news = reader.next() => match news {
                Ok(News::Told(telling, after)) => {
                    tell_each(socket, telling.untold(after, filter).map(|told| &told.json)).await
                }
                Ok(News::Passing(passing)) if filter.wants_passing(&passing) => {
                    tell_each(socket, [&passing.json].into_iter()).await
                }
                Ok(News::Passing(_)) => Ok(()),
                Ok(News::Ended) => return End::Close(close_code::NORMAL, "the orchestration has ended"),
                Ok(News::Closing) => return End::Close(close_code::RESTART, "the server stops: come back"),
                Err(error) => {
                    tracing::warn!("A reader is sent away to come back: {error}");
                    return End::Close(close_code::AGAIN, "the log cannot be read: come back");
                }
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_))) | None => return End::Lost,
                // Where the connection itself failed, so does the farewell.
                Some(Err(_)) => return End::Close(close_code::PROTOCOL, "what was sent is no message that is read here"),
                Some(Ok(_)) => {
                    unanswered = 0;
                    Ok(())
                }
            },
            _ = beat.tick() => {
                if unanswered == UNANSWERED_MAX {
                    return End::Lost;
                }
                unanswered += 1;
                socket.send(Message::Ping(Bytes::new())).await
            }
        };
        if told.is_err() {
            return End::Lost;
        }
    }
}

/// All of them, and then one flush. One who takes nothing fails it: the connection beneath is watched.
async fn tell_each<'a>(
    socket: &mut WebSocket,
    texts: impl Iterator<Item = &'a Utf8Bytes>,
) -> Result<(), axum::Error> {
    for text in texts {
        socket.feed(Message::Text(text.clone())).await?;
    }
    socket.flush().await
}
