//! Databases to test on.

use std::sync::atomic::{AtomicU64, Ordering};

use store::db::Store;
use store::url::DatabaseUrl;

/// The URL of a PostgreSQL whose role may create schemas; tests on it are skipped without.
const SERVER: &str = "AFTERPLAN_TEST_POSTGRES";

/// A place for a database that is gone after the test.
pub struct Place {
    url: DatabaseUrl,
    text: String,
    /// Holds the file, and whatever lies beside it.
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    /// A file that is not there yet.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        Self {
            _folder: Some(folder),
            ..Self::at(path.to_str().unwrap())
        }
    }

    /// A schema of its own on the test server, which the store makes; `None`, said aloud, without a server.
    pub fn postgres() -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let Ok(server) = std::env::var(SERVER) else {
            println!("SKIPPED: PostgreSQL ({SERVER} is not set)");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = if server.contains('?') { '&' } else { '?' };
        let schema = format!("engine_{}_{number}", std::process::id());
        let url = format!("{server}{mark}options=-csearch_path%3D{schema}");
        Some(Self::at(&url))
    }

    /// One that is there for somebody else.
    pub fn at(text: &str) -> Self {
        Self {
            url: DatabaseUrl::parse(text).unwrap(),
            text: text.to_owned(),
            _folder: None,
        }
    }

    /// As `at` takes it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SQLite, and PostgreSQL where there is one.
    pub fn both() -> Vec<Self> {
        let mut places = vec![Self::sqlite()];
        places.extend(Self::postgres());
        places
    }

    pub async fn store(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }
}

/// Does a test on a fresh database of each kind.
pub async fn on_both(test: impl AsyncFn(Place)) {
    for place in Place::both() {
        test(place).await;
    }
}
