//! Plans on their way in: spooled to a temporary file under limits, then unpacked; or read below the configured roots.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use engine::plans::LoadedPlan;
use intake::error::IntakeError;
use intake::limits::Limits;
use intake::named::Named;
use intake::read::{read, read_zip};
use planexe::completeness::{Kind, completeness};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::api::error::{Code, Problem};
use crate::api::extract::too_large;
use crate::app::App;

/// Parts that wait to be written.
const WAITING: usize = 8;

/// Bytes read from a temporary file at one time.
const PART: usize = 64 * 1024;

/// A plan that was read.
pub struct Upload {
    /// What it is called.
    pub name: String,
    /// The plan.
    pub plan: Arc<LoadedPlan>,
}

/// Bytes that go to a temporary file as they come.
pub struct Spool {
    sender: mpsc::Sender<Bytes>,
    writer: JoinHandle<std::io::Result<File>>,
    length: u64,
}

impl Spool {
    /// An empty file without a name.
    pub fn new() -> Self {
        let (sender, mut parts) = mpsc::channel::<Bytes>(WAITING);
        let writer = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::tempfile()?;
            while let Some(part) = parts.blocking_recv() {
                file.write_all(&part)?;
            }
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        Self {
            sender,
            writer,
            length: 0,
        }
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// 413 for more than `most` bytes, 503 for a disk that is full.
    pub async fn take(&mut self, part: Bytes, most: u64) -> Result<(), Problem> {
        self.length += part.len() as u64;
        if self.length > most {
            return Err(too_large(most));
        }
        if self.sender.send(part).await.is_ok() {
            return Ok(());
        }
        match (&mut self.writer).await {
            Ok(Err(error)) => Err(no_room(&error)),
            Ok(Ok(_)) => Err(Problem::internal("a temporary file was ended too early")),
            Err(panic) => Err(Problem::internal(panic)),
        }
    }

    /// All is there: the file, from its start.
    ///
    /// # Errors
    /// 503 for a disk that is full.
    pub async fn end(self) -> Result<File, Problem> {
        drop(self.sender);
        let file = self.writer.await.map_err(Problem::internal)?;
        file.map_err(|error| no_room(&error))
    }
}

/// The folder for temporary files does not take the upload, mostly since its disk is full: the server's trouble, and not for ever.
fn no_room(error: &std::io::Error) -> Problem {
    let folder = std::env::temp_dir();
    tracing::error!(
        "An upload cannot be written to {}: {error}; TMPDIR names another folder",
        folder.display()
    );
    Problem::new(
        Code::Unavailable,
        "the server has no room for the upload now; nothing of the request is stored",
    )
    .retry_after(5)
}

/// A body of what a file holds, read as it is wanted.
pub fn body_of(mut file: File) -> Body {
    let (sender, parts) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut part = vec![0; PART];
            let read = match file.read(&mut part) {
                Ok(0) => break,
                Ok(read) => Ok(Bytes::from(part).slice(..read)),
                Err(error) => Err(error),
            };
            if sender.blocking_send(read).is_err() {
                break;
            }
        }
    });
    Body::from_stream(ReceiverStream::new(parts))
}

impl Default for Spool {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads the plan from a zip that was spooled; `name` is what it is called.
///
/// # Errors
/// 422 for what is no plan, with the reason.
pub async fn unpack(app: &App, mut file: File, name: String) -> Result<Upload, Problem> {
    let limits = limits(app);
    on_the_side(app, move || {
        let length = file.metadata().map_err(Problem::internal)?.len();
        if length > limits.total_bytes {
            return Err(too_large(limits.total_bytes));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.read_to_end(&mut bytes).map_err(Problem::internal)?;
        loaded(read_zip(&bytes, "the upload", &name, &limits).map_err(|error| refused(&error))?)
    })
    .await
}

/// Reads the plan at a path on the server, which must lie below one of the configured roots, with no link on the way.
///
/// # Errors
/// 403 for any other path, 422 for what is no plan.
pub async fn at_path(app: &App, path: &str) -> Result<Upload, Problem> {
    let outside = || {
        Problem::new(
            Code::Forbidden,
            "the path does not lie below one of this server's planRoots",
        )
    };
    if path.contains('\0') {
        return Err(outside());
    }
    let (path, roots, limits) = (
        PathBuf::from(path),
        app.settings.plan_roots.clone(),
        limits(app),
    );
    on_the_side(app, move || {
        if !lies_below(&path, &roots) {
            return Err(outside());
        }
        loaded(read(&path, &limits).map_err(|error| refused(&error))?)
    })
    .await
}

/// Whether `path` is the real path of something below one of `roots`: no link, no `..`.
fn lies_below(path: &Path, roots: &[PathBuf]) -> bool {
    let Ok(real) = path.canonicalize() else {
        return false;
    };
    real == path
        && roots.iter().any(|root| {
            root.canonicalize()
                .is_ok_and(|root| real.starts_with(&root) && real != root)
        })
}

fn limits(app: &App) -> Limits {
    let usual = Limits::default();
    Limits {
        total_bytes: usual.total_bytes.min(app.settings.limits.upload_bytes),
        ..usual
    }
}

/// Unpacking takes memory and a thread: only so many plans are at it at one time.
async fn on_the_side<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let _permit = app.unpacking.acquire().await.map_err(Problem::internal)?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Problem::internal)?
}

fn loaded(named: Named) -> Result<Upload, Problem> {
    let plan = named.plan();
    let refused = |detail: &str| Err(Problem::new(Code::Refused, detail));
    match completeness(&plan).kind {
        Kind::Complete | Kind::Partial => {}
        Kind::Ping => {
            return refused("the plan is a ping run: PlanExe only asked whether the model answers");
        }
        Kind::NotAPlan => {
            return refused(
                "this is no PlanExe plan: it has none of the artifacts that every plan has (plan.txt, wbs_level1.json, …)",
            );
        }
    }
    let plan = LoadedPlan::of(plan).map_err(Problem::internal)?;
    Ok(Upload {
        name: named.name,
        plan: Arc::new(plan),
    })
}

fn refused(error: &IntakeError) -> Problem {
    match error {
        IntakeError::TooLarge { limit, .. } => too_large(*limit),
        IntakeError::Unreadable { .. } | IntakeError::PermissionDenied { .. } => {
            Problem::internal(error)
        }
        error => Problem::new(Code::Refused, error.to_string()),
    }
}
