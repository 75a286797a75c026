//! The agents: one endpoint on one thread that answers at once with about 1 KB of findings, no two alike.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Bytes of an answer.
pub const ANSWER_BYTES: usize = 1_078;

/// Serves for ever. `/slow` answers after ten minutes: for what waits.
pub fn serve(port_line: impl FnOnce(u16)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        port_line(listener.local_addr().unwrap().port());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await;
            });
        }
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let slow = request.uri().path().starts_with("/slow");
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    if slow {
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::new(findings(number).into())).unwrap())
}

/// Four findings of different words, by the number.
fn findings(number: u64) -> String {
    const WORDS: [&str; 16] = [
        "schedule",
        "budget",
        "supplier",
        "permit",
        "harbour",
        "crew",
        "inspection",
        "delay",
        "contract",
        "insurance",
        "weather",
        "training",
        "storage",
        "customs",
        "interface",
        "acceptance",
    ];
    let mut text = String::with_capacity(ANSWER_BYTES + 16);
    text.push_str("{\"findings\":[");
    let mut bits = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut pick = || {
        bits = bits.rotate_left(7).wrapping_mul(0xD1B5_4A32_D192_ED03) ^ 0x5851;
        WORDS[(bits >> 60) as usize]
    };
    for finding in 0..4 {
        if finding > 0 {
            text.push(',');
        }
        text.push_str(&format!(
            "{{\"id\":\"F-{number:08}-{finding}\",\"title\":\"{} against {}\",\"text\":\"The {} depends on the {} and the {}, and nothing says what happens to the {} when the {} comes late.\",\"severity\":{}}}",
            pick(), pick(), pick(), pick(), pick(), pick(), pick(), finding + 1
        ));
    }
    text.push_str("],\"tokensUsed\":412,\"note\":\"");
    while text.len() < ANSWER_BYTES - 2 {
        text.push(char::from(b'a' + (text.len() % 26) as u8));
    }
    text.push_str("\"}");
    text
}
