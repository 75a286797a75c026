//! One HTTP/1.1 connection, driven by whoever asks over it: no second task, and closed when the asking is dropped.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use crate::dial::Socket;

type Wire = http1::Connection<TokioIo<Box<dyn Socket>>, Full<Bytes>>;

/// An open connection.
pub(crate) struct Connection {
    send: http1::SendRequest<Full<Bytes>>,
    wire: Wire,
    /// The wire has come to its end and must not be polled again.
    over: bool,
    /// When it was last put aside.
    pub(crate) idle_since: Instant,
}

impl Connection {
    pub(crate) fn new(send: http1::SendRequest<Full<Bytes>>, wire: Wire) -> Self {
        Self {
            send,
            wire,
            over: false,
            idle_since: Instant::now(),
        }
    }

    /// Sends a request and waits for the response's head.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        let mut response = pin!(self.send.send_request(request));
        let (wire, over) = (&mut self.wire, &mut self.over);
        poll_fn(|cx| {
            poll_wire(wire, over, cx);
            response.as_mut().poll(cx)
        })
        .await
    }

    /// The next piece of the response's body; nothing at its end.
    pub(crate) async fn piece(&mut self, body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
        loop {
            let frame = poll_fn(|cx| {
                if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                    return Poll::Ready(frame);
                }
                poll_wire(&mut self.wire, &mut self.over, cx);
                Pin::new(&mut *body).poll_frame(cx)
            })
            .await?;
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                // Trailers say nothing to us.
                Ok(Err(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Whether another request may be sent: the last answer is read to its end and the peer has not hung up.
    pub(crate) async fn usable(&mut self) -> bool {
        poll_fn(|cx| {
            poll_wire(&mut self.wire, &mut self.over, cx);
            Poll::Ready(!self.over && matches!(self.send.poll_ready(cx), Poll::Ready(Ok(()))))
        })
        .await
    }
}

/// Lets the wire read and write. Its errors reach whoever waits for the response or its body.
fn poll_wire(wire: &mut Wire, over: &mut bool, cx: &mut Context<'_>) {
    if !*over && Pin::new(wire).poll(cx).is_ready() {
        *over = true;
    }
}

/// Whether an error looks as if the peer had hung up on an idle connection before it saw the request.
pub(crate) fn hung_up(error: &hyper::Error) -> bool {
    let broken = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
            )
        });
    broken || error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}
