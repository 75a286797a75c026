//! Readers that take nothing: cut off, cheap, and none the poorer when they come back. Played by this same program started once
//! more, whose memory is its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use engine::perform::Performed;
use server::config::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::live_house::{House, PATIENCE, Place, agent, performer};

/// Readers that take nothing.
const READERS: usize = 40;

/// Steps of an orchestration, each of which is told when it begins to wait for a person.
const STEPS: usize = 200;

/// Orchestrations told to the readers: several megabytes of text for each.
const TOLD: usize = 100;

/// What the server may take more of memory for all of them, in bytes: a quarter of what they are owed.
const GROWTH_MAX: u64 = 64 << 20;

#[test]
fn readers_that_take_nothing_are_cut_off_and_cost_little() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "live_silent::many_take_nothing",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{why}"
    );
}

/// Memory of this program, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// One who follows the account and takes nothing, with as little room in the system as it gives.
async fn silent(address: SocketAddr, after: &str, by_socket: bool) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let (path, upgrade) = if by_socket {
        let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        ("stream", upgrade)
    } else {
        ("events", "accept: text/event-stream\r\n")
    };
    let request = format!(
        "GET /api/accounts/me/{path}?after={after} HTTP/1.1\r\nhost: {address}\r\n{upgrade}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Nobody says yes to a step.
async fn never(_: engine::perform::Assignment) -> Performed {
    Performed::Cancelled
}

async fn told(house: &House, orchestrations: usize) {
    for _ in 0..orchestrations {
        house.begin("Build a shed.").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "played by readers_that_take_nothing_are_cut_off_and_cost_little"]
async fn many_take_nothing() {
    let place = Place::sqlite();
    let agents: Vec<_> = (0..STEPS)
        .map(|n| agent(&format!("waits-{n:03}"), &[], "approval = \"required\""))
        .collect();
    let mut settings = Settings::default();
    settings.limits.take_pause = 3_000;
    let house = House::open_with(&place, agents, performer(never), settings).await;
    told(&house, TOLD).await;
    let warm = resident();
    // What as many orchestrations take by themselves, and this test, which reads what the readers are owed.
    told(&house, TOLD).await;
    let cursor = feed(&house).await.to_string();
    let before = resident();
    let alone = before.saturating_sub(warm);
    let mut readers = Vec::new();
    for n in 0..READERS {
        readers.push(silent(house.address, &cursor, n % 2 == 0).await);
    }
    told(&house, TOLD).await;
    let mut most = resident();
    // Four times the pause that they are granted: on a busy machine the last of it is told late. Looking would be taking.
    tokio::time::sleep(Duration::from_millis(12_000)).await;
    let mut taken = Vec::new();
    for reader in readers {
        most = most.max(resident());
        taken.push(rest(reader).await);
    }
    let path = format!("/accounts/me/events?after={cursor}");
    let owed = house.events(&path, 500).await;
    let owed: usize = owed.iter().map(|event| event.to_string().len()).sum();
    assert!(
        taken.iter().all(|taken| *taken < owed),
        "{taken:?} of {owed} bytes"
    );
    assert!(
        GROWTH_MAX < (READERS * owed) as u64 / 3,
        "too little to show anything"
    );
    let growth = most.saturating_sub(before + alone);
    println!("{READERS} readers, each owed {owed} bytes: {growth} bytes more, beside {alone}");
    assert!(
        growth < GROWTH_MAX,
        "{growth} bytes more than {before} and {alone}"
    );
    house.close().await;
}

/// The number of the account's last event.
async fn feed(house: &House) -> u64 {
    let events = house.events("/accounts/me/events", 500).await;
    events.last().unwrap()["feed"].as_u64().unwrap()
}

/// How many bytes still come until the connection's end: what the system held for a reader that was cut off.
async fn rest(mut reader: TcpStream) -> usize {
    let (mut taken, mut part) = (0, vec![0; 64 * 1024]);
    let reading = async {
        while let Ok(read @ 1..) = reader.read(&mut part).await {
            taken += read;
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("it was cut off");
    taken
}
