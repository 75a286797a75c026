//! PostgreSQL over TLS: a URL that demands it gets it, from a server that proves who it is, or nothing.

use std::path::Path;

use store::db::Store;
use store::error::StoreError;
use store::url::DatabaseUrl;

use crate::harness::{Place, administer, asked};

/// The test server, where it speaks TLS.
async fn encrypted_place() -> Option<Place> {
    let place = Place::postgres().await?;
    let DatabaseUrl::Postgres(url) = &place.url else {
        return None;
    };
    if asked(url, "show ssl").await == "on" {
        return Some(place);
    }
    println!("SKIPPED: the PostgreSQL given does not speak TLS");
    place.gone().await;
    None
}

fn with(place: &Place, query: &str) -> DatabaseUrl {
    let DatabaseUrl::Postgres(url) = &place.url else {
        unreachable!("a PostgreSQL")
    };
    DatabaseUrl::parse(&format!("{url}&{query}")).unwrap()
}

fn authority() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = here.join("../providers/tests/it/certificates/ca.pem");
    file.display().to_string()
}

#[tokio::test]
async fn what_demands_tls_speaks_nothing_else() {
    let Some(place) = encrypted_place().await else {
        return;
    };
    let url = with(
        &place,
        &format!(
            "application_name=over_tls&sslmode=verify-full&sslrootcert={}",
            authority()
        ),
    );
    let store = Store::open(&url).await.unwrap();
    let DatabaseUrl::Postgres(plain) = &place.url else {
        return;
    };
    let clear = "select count(*)::text from pg_stat_ssl join pg_stat_activity using (pid)
         where application_name = 'over_tls' and not ssl";
    let all =
        "select (count(*) > 0)::text from pg_stat_activity where application_name = 'over_tls'";
    assert_eq!(asked(plain, clear).await, "0");
    assert_eq!(asked(plain, all).await, "true");
    store.close().await;
    place.gone().await;
}

#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_is_not_spoken_to() {
    let Some(place) = encrypted_place().await else {
        return;
    };
    // The system does not know the authority of the test server's certificate.
    let url = with(&place, "sslmode=require");
    match Store::open(&url).await {
        Err(StoreError::CannotConnect { detail, .. }) => {
            assert!(detail.contains("certificate"), "{detail}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("whoever answered was believed"),
    }
    // Nothing was migrated over a connection that nobody trusts: the schema is as empty as before.
    let DatabaseUrl::Postgres(clear) = &place.url else {
        return;
    };
    administer(clear, "create table orchestration (id int)").await;
    place.gone().await;
}
