//! A server under test, its agents, and a caller.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use domain::agent::definition::AgentDefinition;
use domain::values::ids::{AccountId, HolderId};
use domain::values::role::Role;
use engine::billing::Billing;
use engine::clock::Clock;
use engine::handle::{Engine, Parts, Scope};
use engine::outside::Outside;
use engine::perform::Performer;
use engine::registry::Registry;
use engine::replica::Replica;
use providers::outgoing::{Outgoing, OutgoingSettings};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use server::app::{ServeError, serve};
use server::config::Settings;
use server::keys::make;
use store::db::Store;
use store::url::DatabaseUrl;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longest wait for what must come: generous, since two cores may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What agents of the stage are asked, and when those that wait may answer.
#[derive(Default)]
pub struct Stub {
    pub asked: AtomicU32,
    pub released: Notify,
}

async fn invoke(
    State(stub): State<Arc<Stub>>,
    Path(id): Path<String>,
    Json(context): Json<Value>,
) -> Response {
    let asked = stub.asked.fetch_add(1, Ordering::SeqCst);
    if id == "metered-twice" && asked == 0 {
        let told = json!({"error": "out of order", "tokensUsed": 12_000});
        return (http::StatusCode::INTERNAL_SERVER_ERROR, Json(told)).into_response();
    }
    if id.starts_with("slow") {
        stub.released.notified().await;
    }
    if id.starts_with("broken") {
        return (http::StatusCode::BAD_REQUEST, "no").into_response();
    }
    if id.starts_with("failing") {
        return (http::StatusCode::INTERNAL_SERVER_ERROR, "out of order").into_response();
    }
    assert!(context["orchestrationId"].is_string(), "{context}");
    let findings = match id.as_str() {
        "security-review" => {
            json!({"issues": ["no backups"], "recommendations": ["make some"], "tokensUsed": 2100})
        }
        "performance-analysis" => {
            json!({"bottlenecks": [], "recommendations": ["cache"], "tokensUsed": 1500})
        }
        "metered-twice" => json!({"found": id, "usage": {
            "inputTokens": 12_000, "cachedInputTokens": 4_000, "outputTokens": 900, "tools": {"search": 3},
        }}),
        "metered" => json!({"found": id, "tokensUsed": 1_000}),
        _ => json!({"found": id}),
    };
    Json(findings).into_response()
}

/// A server at work.
pub struct Stage {
    pub engine: Engine,
    pub address: SocketAddr,
    pub stub: Arc<Stub>,
    pub client: Client,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
    replica: Replica,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// With the seed's two agents.
    pub async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings of the test's own.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::at(Clock::System, change).await
    }

    /// With a clock, too.
    pub async fn at(clock: Clock, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let folder = tempfile::tempdir().unwrap();
        let (stub, base) = stub().await;
        let engine = engine(&folder, base, clock).await;
        let holder = HolderId(Uuid::now_v7());
        let replica = Replica::start(&engine, holder, "test").await.unwrap();
        let shutdown = CancellationToken::new();
        let (ready, bound) = oneshot::channel();
        let serving = tokio::spawn(serve(engine.clone(), settings, shutdown.clone(), ready));
        let address = bound.await.expect("the server begins");
        Self {
            engine,
            address,
            stub,
            client: client(),
            shutdown,
            serving,
            replica,
            _folder: folder,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.ask(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.ask(Method::POST, path).json(&body)).await
    }

    /// Registers an agent over the API; `rest` goes with its id and name.
    pub async fn register(&self, id: &str, rest: Value) {
        let mut agent = json!({"id": id, "displayName": id});
        agent
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        let (status, answer) = self.post("/api/agents", json!({"agent": agent})).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// A key for `account`, made behind the server's back.
    pub async fn key(&self, account: &str, role: Role) -> String {
        let now = self.engine.clock.now();
        let key = make(
            Uuid::now_v7(),
            &AccountId::new(account).unwrap(),
            role,
            "test",
            now,
            None,
        );
        self.engine.store.put_key(key.row).await.unwrap();
        key.text
    }

    /// Asks the server to stop; it answers when it has.
    pub fn stop(&self) {
        self.shutdown.cancel();
    }

    /// Stops all. Afterwards the database must be sound.
    pub async fn close(self) {
        self.stub.released.notify_waiters();
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        self.replica.stop().await.unwrap();
        let report = engine::check::check(&self.engine).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        self.engine.store.close().await;
    }
}

/// Those of a server at any free port of this machine.
pub fn settings() -> Settings {
    Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..Settings::default()
    }
}

/// Begins a server that is expected to refuse.
pub async fn refused(settings: Settings) -> ServeError {
    let folder = tempfile::tempdir().unwrap();
    let base = "http://127.0.0.1:9".to_owned();
    let engine = engine(&folder, base, Clock::System).await;
    let (ready, _bound) = oneshot::channel();
    let served = serve(engine.clone(), settings, CancellationToken::new(), ready);
    let error = tokio::time::timeout(PATIENCE, served)
        .await
        .unwrap()
        .unwrap_err();
    engine.store.close().await;
    error
}

async fn stub() -> (Arc<Stub>, String) {
    let stub = Arc::new(Stub::default());
    let routes = Router::new()
        .route("/api/agents/{id}/invoke", post(invoke))
        .with_state(stub.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (stub, base)
}

async fn engine(folder: &tempfile::TempDir, base: String, clock: Clock) -> Engine {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = folder.path().join("test.db");
    let store = Store::open(&DatabaseUrl::parse(path.to_str().unwrap()).unwrap())
        .await
        .unwrap();
    let registry = Registry::default();
    for text in [
        include_str!("../../../engine/agents/security-review.json"),
        include_str!("../../../engine/agents/performance-analysis.json"),
    ] {
        registry.add(serde_json::from_str::<AgentDefinition>(text).unwrap());
    }
    let outgoing = Outgoing::new(OutgoingSettings {
        allow: vec!["127.0.0.1".to_owned()],
        ..OutgoingSettings::default()
    })
    .unwrap();
    let outside = Outside {
        outgoing: Some(outgoing),
        agents_base_url: Some(base),
        ..Outside::default()
    };
    let engine = Engine::new(Parts {
        store,
        clock,
        registry,
        performer: Performer::Executors,
        outside,
        billing: Billing::default(),
        sharing: engine::sharing::Sharing::default(),
        slots: 16,
    });
    engine.set_scope(Scope::Everything);
    engine
}

fn client() -> Client {
    Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

/// Status and body; a body that is no JSON as a text.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, body)
}

/// The seed's request.
pub fn seed_request() -> Value {
    json!({"planArtifact": {
        "id": "plan-123",
        "version": 1,
        "plan": {"title": "My Plan", "description": "..."},
        "enrichments": {},
        "createdAt": 1_708_462_300_000_u64,
        "lastUpdatedAt": 1_708_462_300_000_u64,
        "orchestrationId": null,
        "status": "pending"
    }})
}

/// The seed's request over a plan that no other test has, for these agents.
pub fn request_for(agents: &[&str]) -> Value {
    let mut request = seed_request();
    request["planArtifact"]["plan"]["title"] = json!(Uuid::now_v7().to_string());
    request["enrichmentRequest"] = json!({"agents": agents});
    request
}

/// Asserts a problem of this kind.
pub fn assert_problem((status, body): &(u16, Value), expected: u16, code: &str) {
    assert_eq!(
        (*status, body["code"].as_str()),
        (expected, Some(code)),
        "{body}"
    );
    assert_eq!(body["status"], json!(expected));
    assert_eq!(body["error"], body["detail"]);
    assert!(
        body["detail"]
            .as_str()
            .is_some_and(|detail| !detail.is_empty())
    );
    assert_eq!(body["type"], json!(format!("urn:afterplan:problem:{code}")));
}
