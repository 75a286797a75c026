//! A POST over a pool of connections: as little as HTTP allows, the same for the driver and for the floors.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Connections to one address that wait for work.
#[derive(Clone)]
pub struct Client {
    address: String,
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

impl Client {
    pub fn new(port: u16) -> Self {
        Self {
            address: format!("127.0.0.1:{port}"),
            idle: Arc::default(),
        }
    }

    async fn connection(&self) -> SendRequest<Full<Bytes>> {
        loop {
            let idle = self.idle.lock().unwrap().pop();
            match idle {
                Some(mut sender) => {
                    if sender.ready().await.is_ok() {
                        return sender;
                    }
                }
                None => {
                    let stream = TcpStream::connect(&self.address).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
                    tokio::spawn(connection);
                    return sender;
                }
            }
        }
    }

    /// Status and body of the answer.
    pub async fn post(&self, path: &str, body: Bytes) -> (u16, Bytes) {
        let mut sender = self.connection().await;
        let request = Request::post(path)
            .header("host", &self.address)
            .header("content-type", "application/json")
            .body(Full::new(body))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        self.idle.lock().unwrap().push(sender);
        (status, body)
    }
}
