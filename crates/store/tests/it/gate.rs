//! A gate in front of a server: closed it cuts all who are inside and refuses all who come.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use store::url::DatabaseUrl;
use tokio_postgres::config::Host;

/// An open gate. Dropping it closes it.
pub struct Gate {
    /// The database's, through the gate.
    pub url: DatabaseUrl,
    port: u16,
    server: (String, u16),
    closing: Arc<AtomicBool>,
    keeper: Option<JoinHandle<()>>,
}

/// A gate that refuses.
pub struct Closed {
    pub url: DatabaseUrl,
    port: u16,
    server: (String, u16),
}

impl Gate {
    pub fn before(url: &str) -> Self {
        let config: tokio_postgres::Config = url.parse().unwrap();
        let [Host::Tcp(host)] = config.get_hosts() else {
            panic!("one host")
        };
        let server = (host.clone(), config.get_ports()[0]);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let from = format!("{}:{}", server.0, server.1);
        assert!(url.contains(&from), "{url}");
        let url = url.replacen(&from, &format!("127.0.0.1:{port}"), 1);
        Self::kept(listener, DatabaseUrl::parse(&url).unwrap(), server)
    }

    fn kept(listener: TcpListener, url: DatabaseUrl, server: (String, u16)) -> Self {
        let port = listener.local_addr().unwrap().port();
        let closing = Arc::new(AtomicBool::new(false));
        let (of_keeper, to) = (closing.clone(), server.clone());
        let keeper = std::thread::spawn(move || keep(&listener, &to, &of_keeper));
        Self {
            url,
            port,
            server,
            closing,
            keeper: Some(keeper),
        }
    }

    pub fn close(self) -> Closed {
        Closed {
            url: self.url.clone(),
            port: self.port,
            server: self.server.clone(),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.keeper.take().unwrap().join().unwrap();
    }
}

impl Closed {
    pub fn open(self) -> Gate {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        Gate::kept(listener, self.url, self.server)
    }
}

fn keep(listener: &TcpListener, server: &(String, u16), closing: &AtomicBool) {
    listener.set_nonblocking(true).unwrap();
    let mut inside = Vec::new();
    while !closing.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((from, _)) => {
                from.set_nonblocking(false).unwrap();
                let to = TcpStream::connect((server.0.as_str(), server.1)).unwrap();
                carry(&from, &to);
                carry(&to, &from);
                inside.extend([from, to]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
    for stream in inside {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// All that comes, until either end is closed.
fn carry(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
