//! Agents, keys, repeated writes and the reads across orchestrations.

use store::accounts::EnrichmentFilter;
use store::agents::AgentPut;
use store::events::EventFilter;
use store::idempotency::{Begun, TAKEN_OVER_AFTER};
use store::rows::{EnrichmentRow, KeyRow};

use crate::harness::{agent, blob, event, hash, id, new, next, on_both, step};

#[tokio::test]
async fn a_version_of_an_agent_never_changes() {
    on_both(async |store| {
        let before = store.agents_stamp().await.unwrap();
        assert_eq!(
            store.put_agent(agent("lint", "1")).await.unwrap(),
            AgentPut::New
        );
        assert_eq!(
            store.put_agent(agent("lint", "1")).await.unwrap(),
            AgentPut::Same
        );
        let mut other = agent("lint", "1");
        other.definition = "{}".to_owned();
        other.hash = hash("{}");
        let differs = AgentPut::Differs {
            hash: agent("lint", "1").hash,
        };
        assert_eq!(store.put_agent(other.clone()).await.unwrap(), differs);
        assert_eq!(store.agents(true).await.unwrap(), [agent("lint", "1")]);
        other.hash = hash("something else");
        assert!(store.put_agent(other).await.is_err());

        let with_one = store.agents_stamp().await.unwrap();
        store.put_agent(agent("lint", "2")).await.unwrap();
        assert!(store.retire_agent("lint", "1", 2_000).await.unwrap());
        assert!(!store.retire_agent("lint", "1", 3_000).await.unwrap());
        assert!(!store.retire_agent("lint", "9", 3_000).await.unwrap());
        assert_eq!(store.agents(false).await.unwrap(), [agent("lint", "2")]);
        let all = store.agents(true).await.unwrap();
        assert_eq!(all[0].retired_at, Some(2_000));
        let last = store.agents_stamp().await.unwrap();
        assert!(before < with_one && with_one < last);
        assert_eq!(store.idle_look(0).await.unwrap().agents_stamp, last);
    })
    .await;
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    on_both(async |store| {
        assert!(!store.any_key().await.unwrap());
        let key = |id: &str, account: &str| KeyRow {
            id: id.to_owned(),
            account: account.to_owned(),
            role: "submitter".to_owned(),
            label: "the harbour's".to_owned(),
            secret_hash: hash("secret"),
            created_at: 1,
            expires_at: Some(9),
            revoked_at: None,
        };
        assert!(store.put_key(key("k1", "ann")).await.unwrap());
        assert!(!store.put_key(key("k1", "bob")).await.unwrap());
        assert!(store.put_key(key("k2", "bob")).await.unwrap());
        assert!(store.any_key().await.unwrap());
        assert_eq!(store.key("k1").await.unwrap(), Some(key("k1", "ann")));
        assert_eq!(store.key("k\u{0}1").await.unwrap(), None);
        assert_eq!(store.keys(Some("bob")).await.unwrap(), [key("k2", "bob")]);
        assert_eq!(store.keys(None).await.unwrap().len(), 2);
        assert!(store.revoke_key("k1", 5).await.unwrap());
        assert!(!store.revoke_key("k1", 6).await.unwrap());
        assert_eq!(store.key("k1").await.unwrap().unwrap().revoked_at, Some(5));
    })
    .await;
}

#[tokio::test]
async fn a_repeated_write_is_answered_once_and_for_all() {
    on_both(async |store| {
        let request = hash("request");
        let begin = async |n, request, now| {
            let begun = store.begin_write("ann", "key", request, id(n), now, now + 1_000_000_000);
            begun.await.unwrap()
        };
        assert_eq!(begin(1, request, 0).await, Begun::New { subject: id(1) });
        let under_way = Begun::InProgress {
            subject: id(1),
            since: 0,
        };
        assert_eq!(begin(2, request, 5).await, under_way);
        assert_eq!(begin(2, hash("other"), 5).await, Begun::Differs);
        // Broken off: the next one makes what the first would have made.
        let later = TAKEN_OVER_AFTER;
        assert_eq!(
            begin(3, request, later).await,
            Begun::New { subject: id(1) }
        );
        let since_then = Begun::InProgress {
            subject: id(1),
            since: later,
        };
        assert_eq!(begin(4, request, later + 5).await, since_then);
        assert!(
            store
                .end_write("ann", "key", 202, "{}", b"body")
                .await
                .unwrap()
        );
        assert!(
            !store
                .end_write("ann", "key", 500, "{}", b"late")
                .await
                .unwrap()
        );
        assert!(!store.release_write("ann", "key", later).await.unwrap());
        let done = Begun::Done {
            status: 202,
            headers: "{}".to_owned(),
            body: b"body".to_vec(),
        };
        assert_eq!(begin(5, request, later + 9).await, done);
        assert_eq!(begin(5, hash("other"), later + 9).await, Begun::Differs);
        let other = store.begin_write("bob", "key", request, id(6), 0, 10).await;
        assert_eq!(other.unwrap(), Begun::New { subject: id(6) });
        // What has expired is new again, deleted or not.
        let expired = later + 2_000_000_000;
        assert_eq!(
            begin(7, hash("other"), expired).await,
            Begun::New { subject: id(7) }
        );
    })
    .await;
}

#[tokio::test]
async fn a_write_that_failed_may_be_done_again_and_expired_ones_go() {
    on_both(async |store| {
        let begin = async |n| {
            store
                .begin_write("ann", "key", hash("r"), id(n), 0, 100)
                .await
        };
        begin(1).await.unwrap();
        assert!(!store.release_write("ann", "key", 5).await.unwrap());
        assert!(store.release_write("ann", "key", 0).await.unwrap());
        let other = store.begin_write("ann", "key", hash("other"), id(2), 0, 100);
        assert_eq!(other.await.unwrap(), Begun::Differs);
        // What the first began to make is what the second makes; and nobody else at the same time.
        assert_eq!(begin(2).await.unwrap(), Begun::New { subject: id(1) });
        let under_way = Begun::InProgress {
            subject: id(1),
            since: 0,
        };
        assert_eq!(begin(3).await.unwrap(), under_way);
        assert!(!store.idle_look(99).await.unwrap().expired_writes);
        assert!(store.idle_look(100).await.unwrap().expired_writes);
        assert_eq!(store.delete_expired_writes(99).await.unwrap(), 0);
        assert_eq!(store.delete_expired_writes(100).await.unwrap(), 1);
        begin(3).await.unwrap();
        store.delete_ended_before(200, 10).await.unwrap();
        assert!(!store.idle_look(200).await.unwrap().expired_writes);
    })
    .await;
}

/// What a write led to is what its repetition is about; and a write that has its answer leads nowhere else.
#[tokio::test]
async fn a_write_that_led_to_what_others_made_leads_its_repetition_there() {
    on_both(async |store| {
        let begin = async |n, now| {
            let begun = store.begin_write("ann", "key", hash("r"), id(n), now, now + 100);
            begun.await.unwrap()
        };
        assert_eq!(begin(1, 7).await, Begun::New { subject: id(1) });
        let led = async |since, n| {
            store
                .write_led_to("ann", "key", since, id(n))
                .await
                .unwrap()
        };
        assert!(!led(8, 9).await, "another's write");
        assert!(led(7, 9).await);
        let under_way = Begun::InProgress {
            subject: id(9),
            since: 7,
        };
        assert_eq!(begin(2, 8).await, under_way);
        assert!(store.release_write("ann", "key", 7).await.unwrap());
        assert_eq!(begin(3, 9).await, Begun::New { subject: id(9) });
        assert!(!led(7, 4).await, "it was taken over");
        assert!(store.end_write("ann", "key", 200, "{}", b"").await.unwrap());
        assert!(!led(9, 4).await, "it has its answer");
    })
    .await;
}

/// Two callers with one key: exactly one of them does it.
#[tokio::test]
async fn of_many_callers_with_one_key_one_does_the_write() {
    on_both(async |store| {
        let begun = (1..=16_u64).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let begun = store.begin_write("ann", "key", hash("r"), id(n), 0, 100);
                begun.await.unwrap()
            })
        });
        let mut new = 0;
        for begun in begun.collect::<Vec<_>>() {
            new += usize::from(matches!(begun.await.unwrap(), Begun::New { .. }));
        }
        assert_eq!(new, 1);
    })
    .await;
}

/// One of type `type-n`, by `agent-version`.
fn enrichment(n: u64, version: i64) -> EnrichmentRow {
    EnrichmentRow {
        orchestration: id(n),
        version,
        step: "lint".to_owned(),
        agent: format!("agent-{version}"),
        agent_version: "1".to_owned(),
        account: "ann".to_owned(),
        enrichment_type: format!("type-{n}"),
        status: "completed".to_owned(),
        input_hash: hash("input"),
        data_hash: Some(hash("data")),
        reusable: false,
        at: 1,
        cost: 0,
        detail: "{}".to_owned(),
    }
}

#[tokio::test]
async fn events_and_enrichments_are_found_by_what_they_are() {
    on_both(async |store| {
        for n in 1..=2 {
            let first = new(n);
            let done = store.commit(first.clone()).await.unwrap();
            let mut set = next(&first, &done);
            set.events.push(event(3, "step_completed"));
            set.events[1].step = Some("lint".to_owned());
            set.enrichments
                .extend((2..=3).map(|version| enrichment(n, version)));
            set.blobs = vec![blob("data")];
            store.commit(set).await.unwrap();
        }
        let events = async |step: Option<&str>, kinds: &[&str]| {
            let filter = EventFilter {
                agent_step: step.map(str::to_owned),
                kinds: kinds.iter().map(|k| (*k).to_owned()).collect(),
            };
            let found = store.events_filtered(id(1), 0, 10, &filter).await.unwrap();
            found.iter().map(|e| e.seq).collect::<Vec<_>>()
        };
        assert_eq!(events(None, &[]).await, [1, 2, 3]);
        assert_eq!(events(Some("lint"), &[]).await, [3]);
        assert_eq!(
            events(None, &["step_ready", "step_completed"]).await,
            [2, 3]
        );
        assert_eq!(events(Some("lint"), &["step_ready"]).await, [0; 0]);

        let all = EnrichmentFilter::default();
        let of_one = EnrichmentFilter {
            enrichment_type: Some("type-1".to_owned()),
            ..all.clone()
        };
        let of_agent = EnrichmentFilter {
            agent: Some("agent-3".to_owned()),
            ..all.clone()
        };
        let found = async |filter: &EnrichmentFilter, cursor| {
            let rows = store
                .enrichments_of("ann", filter, cursor, 3)
                .await
                .unwrap();
            rows.iter()
                .map(|e| (e.orchestration, e.version))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            found(&all, None).await,
            [(id(2), 3), (id(2), 2), (id(1), 3)]
        );
        assert_eq!(found(&all, Some((id(1), 3))).await, [(id(1), 2)]);
        assert_eq!(found(&of_one, None).await, [(id(1), 3), (id(1), 2)]);
        assert_eq!(found(&of_agent, None).await, [(id(2), 3), (id(1), 3)]);
    })
    .await;
}

#[tokio::test]
async fn accounts_count_what_they_have_and_a_sleeper_sees_what_is_due() {
    on_both(async |store| {
        let idle = store.idle_look(5).await.unwrap();
        assert_eq!(
            (idle.due_at, idle.wake_at, idle.lapsed, idle.holders),
            (None, None, false, 0)
        );
        let mut ended = new(1);
        ended.orchestration.ended_at = Some(2_000);
        store.commit(ended).await.unwrap();
        let mut running = new(2);
        running.orchestration.wake_at = Some(40);
        running.orchestration.running = 1;
        let mut held = step(0);
        held.due_at = Some(30);
        held.wake_at = Some(35);
        held.holder = Some(id(77));
        held.epoch = Some(1);
        running.steps = vec![held];
        store.commit(running).await.unwrap();
        let accounts = store.accounts().await.unwrap();
        let told = (
            accounts[0].id.as_str(),
            accounts[0].orchestrations,
            accounts[0].running,
        );
        assert_eq!((accounts.len(), told), (1, ("ann", 2, 1)));
        let ann = store.account("ann").await.unwrap();
        assert_eq!(ann.as_ref(), accounts.first());
        assert_eq!(store.last_feed("ann").await.unwrap(), accounts[0].feed);
        assert_eq!(store.account("bob").await.unwrap(), None);
        assert_eq!(store.last_feed("bob").await.unwrap(), 0);
        let look = store.idle_look(5).await.unwrap();
        assert_eq!(
            (look.due_at, look.wake_at, look.lapsed),
            (Some(30), Some(35), true)
        );
    })
    .await;
}
