//! Servers under test whose agents do as the test says, and readers of their streams.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::agent::definition::{AgentDefinition, from_toml};
use domain::orchestration::select::Wanted;
use domain::values::ids::{AccountId, HolderId, OrchestrationId};
use domain::values::role::Role;
use engine::billing::Billing;
use engine::clock::Clock;
use engine::handle::{Engine, Parts, Scope};
use engine::outside::Outside;
use engine::perform::{Assignment, Performed, Performer};
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use engine::replica::Replica;
use engine::submit::{Submission, submit};
use futures_util::StreamExt;
use planexe::plan::Plan;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use server::app::{ServeError, serve};
use server::config::Settings;
use server::keys::make;
use store::db::Store;
use store::url::DatabaseUrl;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longest wait for what must come: generous, since two cores may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A database that is gone after the test.
pub struct Place {
    url: DatabaseUrl,
    _folder: Option<TempDir>,
}

impl Place {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        Self {
            url: DatabaseUrl::parse(path.to_str().unwrap()).unwrap(),
            _folder: Some(folder),
        }
    }

    /// SQLite, and PostgreSQL where there is one.
    pub fn both() -> Vec<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut places = vec![Self::sqlite()];
        let Ok(server) = std::env::var("AFTERPLAN_TEST_POSTGRES") else {
            println!("SKIPPED: PostgreSQL (AFTERPLAN_TEST_POSTGRES is not set)");
            return places;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = if server.contains('?') { '&' } else { '?' };
        let schema = format!("server_live_{}_{number}", std::process::id());
        let url = format!("{server}{mark}options=-csearch_path%3D{schema}");
        places.push(Self {
            url: DatabaseUrl::parse(&url).unwrap(),
            _folder: None,
        });
        places
    }
}

/// A definition: `rest` is what it says beside its id.
pub fn agent(id: &str, dependencies: &[&str], rest: &str) -> AgentDefinition {
    let text =
        format!("id = \"{id}\"\ndisplayName = \"{id}\"\ndependencies = {dependencies:?}\n{rest}");
    from_toml(&text).unwrap()
}

/// So many agents, each after the one before.
pub fn chain(length: usize) -> Vec<AgentDefinition> {
    let name = |n: usize| format!("agent-{n:02}");
    (0..length)
        .map(|n| {
            let before = n.checked_sub(1).map(name);
            let before: Vec<&str> = before.iter().map(String::as_str).collect();
            agent(&name(n), &before, "")
        })
        .collect()
}

/// Agents that do as the test says.
pub fn performer<F, W>(act: F) -> Performer
where
    F: Fn(Assignment) -> W + Send + Sync + 'static,
    W: Future<Output = Performed> + Send + 'static,
{
    Performer::Given(Arc::new(move |assignment| Box::pin(act(assignment))))
}

/// A server at work.
pub struct House {
    pub engine: Engine,
    pub client: Client,
    pub address: SocketAddr,
    replica: Replica,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl House {
    pub async fn open(place: &Place, agents: Vec<AgentDefinition>, performer: Performer) -> Self {
        Self::open_with(place, agents, performer, Settings::default()).await
    }

    pub async fn open_with(
        place: &Place,
        agents: Vec<AgentDefinition>,
        performer: Performer,
        settings: Settings,
    ) -> Self {
        Self::open_outside(place, agents, performer, (settings, Outside::default())).await
    }

    /// The same, with ways to others.
    pub async fn open_outside(
        place: &Place,
        agents: Vec<AgentDefinition>,
        performer: Performer,
        (settings, outside): (Settings, Outside),
    ) -> Self {
        // The client wants it even where nothing is encrypted; who came second finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let registry = Registry::default();
        agents.into_iter().for_each(|agent| registry.add(agent));
        let engine = Engine::new(Parts {
            store: Store::open(&place.url).await.unwrap(),
            clock: Clock::System,
            registry,
            performer,
            outside,
            billing: Billing::default(),
            sharing: engine::sharing::Sharing::default(),
            slots: 8,
        });
        engine.set_scope(Scope::Everything);
        let replica = Replica::start(&engine, HolderId(Uuid::now_v7()), "test")
            .await
            .unwrap();
        let settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..settings
        };
        let shutdown = CancellationToken::new();
        let (ready, address) = tokio::sync::oneshot::channel();
        let serving = tokio::spawn(serve(engine.clone(), settings, shutdown.clone(), ready));
        Self {
            engine,
            client: Client::builder().no_proxy().build().unwrap(),
            address: address.await.unwrap(),
            replica,
            shutdown,
            serving,
        }
    }

    /// Stops it as an operator would.
    pub async fn close(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
        self.replica.stop().await.unwrap();
        self.engine.store.close().await;
    }

    /// Submits all registered agents over a plan of that text.
    pub async fn begin(&self, text: &str) -> OrchestrationId {
        let bytes: Arc<[u8]> = Arc::from(text.as_bytes());
        let plan = Plan::from_named_bytes([("001-2-plan.txt".to_owned(), bytes)]);
        let plan = Arc::new(LoadedPlan::of(plan).unwrap());
        let agents = self.engine.registry.snapshot();
        let wanted = Wanted::Named(agents.by_default());
        let mut submission =
            Submission::new(AccountId::system(), "a plan".to_owned(), plan, wanted);
        submission.fresh = true;
        submission.max_steps = Some(200);
        let id = OrchestrationId(Uuid::now_v7());
        submit(&self.engine, id, submission).await.unwrap().id
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/api{path}", self.address)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    /// The JSON at `path`.
    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// All events of an orchestration, page by page.
    pub async fn events(&self, path: &str, limit: usize) -> Vec<Value> {
        let (mut events, mut cursor) = (Vec::new(), String::new());
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = format!("{path}{mark}limit={limit}{cursor}");
            let page = self.json(&page).await;
            events.extend(page["events"].as_array().unwrap().clone());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return events,
            }
        }
    }

    /// Waits until the orchestration has ended.
    pub async fn ended(&self, id: OrchestrationId) {
        let ended = engine::follow::ended(&self.engine, id);
        tokio::time::timeout(PATIENCE, ended)
            .await
            .unwrap()
            .unwrap();
    }

    /// Asks for a WebSocket.
    pub fn socket_request(&self, path: &str) -> Request<()> {
        let url = format!("ws://{}/api{path}", self.address);
        url.into_client_request().unwrap()
    }

    /// Opens a WebSocket.
    pub async fn socket(&self, path: &str) -> Socket {
        Socket(connect_async(self.socket_request(path)).await.unwrap().0)
    }

    /// A new key.
    pub async fn key(&self, account: &str, role: Role) -> String {
        let account = AccountId::new(account).unwrap();
        let now = self.engine.clock.now();
        let key = make(Uuid::now_v7(), &account, role, "a test's", now, None);
        self.engine.store.put_key(key.row).await.unwrap();
        key.text
    }

    /// Opens an SSE stream that goes on behind `last`.
    pub async fn sse(&self, path: &str, last: Option<&str>) -> Sse {
        let mut request = self.get(path).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Sse::of(request.send().await.unwrap())
    }
}

/// A reader by WebSocket.
pub struct Socket(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// The next event; nothing at a close, with its code.
    pub async fn next(&mut self) -> Result<Value, Option<u16>> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match message.expect("a message comes in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// All events until it is closed, and the code.
    pub async fn rest(&mut self) -> (Vec<Value>, Option<u16>) {
        let mut events = Vec::new();
        loop {
            match self.next().await {
                Ok(event) => events.push(event),
                Err(code) => return (events, code),
            }
        }
    }
}

/// A server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub name: String,
    pub id: Option<String>,
    pub data: Value,
}

/// A reader by server-sent events.
pub struct Sse {
    pub response: Response,
    text: String,
    /// Comments seen.
    pub beats: usize,
}

impl Sse {
    pub fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
            beats: 0,
        }
    }

    /// The next event; nothing at the stream's end.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            while let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                self.beats += usize::from(frame.starts_with(':'));
                if let Some(frame) = read(&frame) {
                    return Some(frame);
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("something comes in time").ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// All events until the stream's end.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}

fn read(frame: &str) -> Option<Frame> {
    let fields: BTreeMap<&str, &str> = frame
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    Some(Frame {
        data: serde_json::from_str(fields.get("data")?).unwrap(),
        name: (*fields.get("event")?).to_owned(),
        id: fields.get("id").map(|id| (*id).to_owned()),
    })
}

/// What can be told apart of an event: its cursor and its type.
pub fn marks(events: &[Value]) -> Vec<String> {
    let mark = |event: &Value| {
        format!(
            "{} {}",
            event["cursor"].as_str().unwrap(),
            event["type"].as_str().unwrap()
        )
    };
    events.iter().map(mark).collect()
}
