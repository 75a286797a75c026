//! The registry: what is registered on one replica is known to all, and no version ever changes.

use domain::agent::definition::AgentDefinition;
use domain::orchestration::select::Wanted;
use domain::values::ids::AgentId;
use engine::agents::{RegisterError, refresh, register, retire, seeds};
use engine::clock::ManualClock;
use engine::discovery::{WELL_KNOWN, discover};
use engine::handle::Engine;
use engine::registry::Source;
use serde_json::json;

use crate::house::{Setup, agent, begin_as, clock, done, performer, submission};
use crate::place::{Place, on_both};
use crate::stub::{self, Stub};

async fn engine(place: &Place, clock: &ManualClock) -> Engine {
    let agents = vec![agent("own", "")];
    Setup::new(clock, agents, performer(|_| async { done() }))
        .engine(place)
        .await
}

async fn put(engine: &Engine, definition: &AgentDefinition) -> Result<bool, RegisterError> {
    register(engine, definition.clone(), Source::Api, None)
        .await
        .map(|registered| registered.new)
}

fn enabled(engine: &Engine, id: &str) -> Option<String> {
    let agents = engine.registry.snapshot();
    let id = AgentId::new(id).unwrap();
    agents.enabled().get(&id).map(|known| known.version.clone())
}

#[tokio::test]
async fn what_is_registered_on_one_replica_is_known_to_the_other() {
    on_both(async |place| {
        let clock = clock();
        let (here, there) = (engine(&place, &clock).await, engine(&place, &clock).await);
        for seed in seeds().unwrap() {
            assert!(put(&here, &seed).await.unwrap());
            assert!(!put(&here, &seed).await.unwrap());
        }
        assert_eq!(enabled(&there, "security-review"), None);
        // Who names it there at once, before anybody has looked, is not told that there is none.
        let mut named = submission(&there);
        named.wanted = Wanted::Named(vec![AgentId::new("new").unwrap()]);
        put(&here, &agent("new", "")).await.unwrap();
        begin_as(&there, 1, named).await;
        put(&here, &agent("newer", "")).await.unwrap();
        assert!(refresh(&there).await.unwrap());
        assert!(!refresh(&there).await.unwrap());
        assert_eq!(enabled(&there, "security-review").as_deref(), Some("1"));
        // A replica that has not heard of it is told by the store.
        let late = engine(&place, &clock).await;
        assert!(!put(&late, &seeds().unwrap()[0]).await.unwrap());
        assert_eq!(enabled(&late, "performance-analysis").as_deref(), Some("1"));
        for engine in [here, there, late] {
            engine.store.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_version_never_changes_and_a_retired_one_does_not_come_back() {
    let place = Place::sqlite();
    let clock = clock();
    let (here, there) = (engine(&place, &clock).await, engine(&place, &clock).await);
    put(&here, &agent("a", "")).await.unwrap();
    let changed = agent("a", "timeout = 5");
    for engine in [&here, &there] {
        let taken = put(engine, &changed).await.unwrap_err();
        assert!(
            matches!(taken, RegisterError::VersionTaken { .. }),
            "{taken}"
        );
    }
    put(&here, &agent("a", "version = '2'\ntimeout = 5"))
        .await
        .unwrap();
    assert_eq!(enabled(&here, "a").as_deref(), Some("2"));
    assert_eq!(here.registry.snapshot().versions("a").len(), 2);
    assert!(retire(&there, "a", Some("2")).await.unwrap());
    refresh(&here).await.unwrap();
    assert_eq!(enabled(&here, "a").as_deref(), Some("1"));
    let back = put(&there, &agent("a", "version = '2'\ntimeout = 5")).await;
    assert!(back.unwrap_err().to_string().contains("was retired"));
    assert!(retire(&here, "a", None).await.unwrap());
    assert!(!retire(&here, "a", None).await.unwrap());
    assert_eq!(enabled(&here, "a"), None);
}

#[tokio::test]
async fn an_agent_of_the_program_can_be_retired_and_stays_so() {
    let place = Place::sqlite();
    let clock = clock();
    let here = engine(&place, &clock).await;
    assert!(retire(&here, "own", None).await.unwrap());
    assert_eq!(enabled(&here, "own"), None);
    let next = engine(&place, &clock).await;
    assert_eq!(enabled(&next, "own").as_deref(), Some("1"));
    refresh(&next).await.unwrap();
    assert_eq!(enabled(&next, "own"), None);
}

#[tokio::test]
async fn an_agent_is_registered_by_its_own_word() {
    let stub = Stub::open(|asked, _| {
        assert_eq!(asked.path, "/.well-known/afterplan-agent.json");
        stub::json(json!({"agents": [{"id": "found", "displayName": "Found"}]}))
    })
    .await;
    let place = Place::sqlite();
    let house = crate::outside::engine(&place, &clock(), Vec::new(), &stub).await;
    let registered = discover(&house, &stub.url).await.unwrap();
    assert!(registered[0].new);
    let agents = house.registry.snapshot();
    let known = agents.latest("found").unwrap();
    assert_eq!(
        (known.source, known.url.as_ref()),
        (Source::Discovery, Some(&stub.url))
    );
}

#[tokio::test]
async fn a_page_is_no_agent_and_an_inner_address_is_not_asked() {
    let stub = Stub::open(|_, _| stub::Said::Whole(200, "", "<html>".to_owned())).await;
    let place = Place::sqlite();
    let house = crate::outside::engine(&place, &clock(), Vec::new(), &stub).await;
    let page = discover(&house, &stub.url).await.unwrap_err();
    assert!(matches!(page, RegisterError::Invalid(_)), "{page}");
    let other = Stub::open(|_, _| stub::json(json!({}))).await;
    let refused = discover(&house, &other.url).await.unwrap_err();
    assert!(matches!(refused, RegisterError::Refused(_)), "{refused}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn of_what_is_found_at_one_address_all_is_registered_or_none() {
    let stub = Stub::open(|asked, _| {
        let first = json!({"id": "first", "displayName": "First"});
        let second = |name: &str| json!({"id": "second", "displayName": name});
        stub::json(match asked.path.trim_end_matches(WELL_KNOWN) {
            "/taken" => json!({"agents": [first, second("Another")]}),
            "/twice" => json!({"agents": [first, second("One"), second("Other")]}),
            _ => json!({"agents": [first]}),
        })
    })
    .await;
    let place = Place::sqlite();
    let clock = clock();
    let house = crate::outside::engine(&place, &clock, Vec::new(), &stub).await;
    // Registered at another replica, of which this one has not heard.
    let there = engine(&place, &clock).await;
    put(&there, &agent("second", "")).await.unwrap();
    for path in ["/taken", "/twice"] {
        let refused = discover(&house, &format!("{}{path}", stub.url)).await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(&refused, RegisterError::VersionTaken { id, .. } if id == "second"),
            "{refused}"
        );
        refresh(&house).await.unwrap();
        assert_eq!(enabled(&house, "first"), None, "{path}");
    }
    let found = discover(&house, &stub.url).await.unwrap();
    assert!(found[0].new);
    retire(&there, "first", None).await.unwrap();
    let refused = discover(&house, &stub.url).await.unwrap_err();
    assert!(refused.to_string().contains("was retired"), "{refused}");
}
