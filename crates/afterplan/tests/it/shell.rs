//! A shell: a folder, a database, and the program to call.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// A folder that is gone after the test, with a database in it that nobody else knows.
pub struct Shell {
    folder: tempfile::TempDir,
    database: String,
}

/// What the program answered.
pub struct Answer {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Shell {
    pub fn new() -> Self {
        // In memory where there is such a folder: these tests are about the program, not about the disk.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let database = folder.path().join("test.db").display().to_string();
        Self { folder, database }
    }

    /// The same, but on another database.
    pub fn on(database: &str) -> Self {
        Self {
            database: database.to_owned(),
            ..Self::new()
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        PathBuf::from(&self.database)
    }

    /// The command, not yet started. Nothing of the caller's environment decides what it does.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afterplan"));
        command
            .current_dir(self.folder())
            .env_remove("XDG_DATA_HOME")
            .env_remove("AFTERPLAN_LOG")
            .env("AFTERPLAN_DATABASE", &self.database)
            .env("HOME", self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .args(arguments);
        command
    }

    /// Calls the program and waits for its end.
    #[track_caller]
    pub fn call(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Calls the program, which must succeed, and reads its answer as JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let answer = self.call(arguments);
        assert_eq!(answer.exit, 0, "{answer}");
        serde_json::from_str(&answer.out).unwrap()
    }

    /// Calls the program, which must refuse or fail with one sentence on standard error that has all of `parts`.
    #[track_caller]
    pub fn fails(&self, exit: i32, arguments: &[&str], parts: &[&str]) {
        let answer = self.call(arguments);
        assert_eq!(answer.exit, exit, "{answer}");
        answer.is_one_sentence(parts);
    }

    /// What is in the folder, hidden names too, without the database and what belongs to it.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("test.db"))
            .collect();
        names.sort();
        names
    }
}

impl Answer {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            // A signal's death shows as in a shell.
            exit: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Nothing on standard output, and one line that names what and the way out.
    #[track_caller]
    pub fn is_one_sentence(&self, parts: &[&str]) {
        assert_eq!(self.out, "", "{self}");
        assert_eq!(self.err.lines().count(), 1, "{self}");
        assert!(self.err.starts_with("afterplan: "), "{self}");
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is not in {self}");
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exit, out, err } = self;
        write!(
            f,
            "exit {exit}\n--- standard output:\n{out}--- standard error:\n{err}---"
        )
    }
}

/// An empty schema of the test server, gone after the test.
pub struct Schema {
    server: String,
    name: String,
    pub url: String,
}

impl Schema {
    /// `None`, said aloud, without a server.
    pub fn new() -> Option<Self> {
        const SERVER: &str = "AFTERPLAN_TEST_POSTGRES";
        let Ok(server) = std::env::var(SERVER) else {
            println!("SKIPPED: PostgreSQL ({SERVER} is not set)");
            return None;
        };
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("afterplan_{}_{count}", std::process::id());
        administer(&server, &format!("create schema {name}"));
        let mark = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{mark}options=-csearch_path%3D{name}");
        Some(Self { server, name, url })
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        administer(&self.server, &format!("drop schema {} cascade", self.name));
    }
}

/// Statements beside the program.
fn administer(server: &str, text: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let connected = tokio_postgres::connect(server, tokio_postgres::NoTls).await;
        let (client, connection) = connected.unwrap();
        tokio::spawn(connection);
        client.batch_execute(text).await.unwrap();
    });
}
