//! The `api` stage: every route of a real server is fuzzed from its own OpenAPI description by schemathesis.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{shell, stages};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Where schemathesis is: on the PATH, or in an environment under `target/` that is made once.
///
/// # Errors
/// When there is no Python, or pip cannot install it.
pub(crate) fn find() -> Result<PathBuf> {
    if let Some(folder) = shell::find_in(shell::path_folders(), "schemathesis") {
        return Ok(folder.join("schemathesis"));
    }
    let home = shell::target()?.join("xtask").join("schemathesis");
    let program = home.join("bin").join("schemathesis");
    if shell::output(Command::new(&program).arg("--version")).is_ok() {
        return Ok(program);
    }
    println!("Installing {SCHEMATHESIS} into {}", home.display());
    shell::output(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&home),
    )
    .context("no virtual environment: install python3 and python3-venv")?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--timeout",
        "20",
        "--retries",
        "1",
    ];
    shell::output(
        Command::new(home.join("bin").join("python3"))
            .args(pip)
            .arg(SCHEMATHESIS),
    )
    .context("pip could not install schemathesis (no network?)")?;
    Ok(program)
}

/// Whether schemathesis found nothing on a fresh server.
///
/// # Errors
/// When the program cannot be built or the server does not start.
pub(crate) fn fuzz(schemathesis: &Path, long: bool) -> Result<bool> {
    // The program as the tests have it, which stands there already: alone it would be built anew with other features.
    let mut build = shell::cargo(&stages::TESTS)?;
    if !shell::ends_well(build.args(["--no-run", "--quiet"]))? {
        bail!("the program could not be built");
    }
    let folder = shell::target()?.join("xtask").join("api");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("hooks.py"), HOOKS)?;
    let server = Server::start(&folder)?;
    // It would revoke the key that it calls with: that route is asked by itself, without what links lead to, for keys that nobody has.
    let key = "/api/keys/{id}";
    let all = pass(
        schemathesis,
        &server,
        &folder,
        long,
        &["--exclude-path", key],
    )?;
    let alone = [
        "--include-path",
        key,
        "--phases",
        "examples,coverage,fuzzing",
    ];
    let clean = pass(schemathesis, &server, &folder, long, &alone)? && all;
    let base = format!("http://{}", server.address);
    let answers = shell::output(Command::new("python3").args(["-c", HEALTH, &base])).is_ok();
    if !answers {
        println!(
            "The server no longer answers; its log: {}",
            folder.join("log").display()
        );
    }
    Ok(clean && answers)
}

/// Whether schemathesis finds nothing on the routes that `which` says.
fn pass(
    schemathesis: &Path,
    server: &Server,
    folder: &Path,
    long: bool,
    which: &[&str],
) -> Result<bool> {
    let base = format!("http://{}", server.address);
    let examples = if long { "400" } else { "25" };
    let mut command = Command::new(schemathesis);
    command
        .arg("run")
        .arg(format!("{base}/api/openapi.json"))
        .args(["--url", &base])
        .args(["--max-examples", examples])
        // Generation is seeded: a red pass can be repeated. What is found anew belongs to `--long`, which draws a seed.
        .args(if long { vec![] } else { vec!["--seed", "2026"] })
        .args(["-H", &format!("Authorization: Bearer {}", server.key)])
        // A body that fits its schema may still name an agent that nobody knows: refused with 400 or 422, as it should be. And
        // what is deleted of an agent is its use: a retired one is still there to be looked at.
        .args([
            "--exclude-checks",
            "positive_data_acceptance,use_after_free",
        ])
        .args(which)
        .args([
            "--request-timeout",
            "20",
            "--no-color",
            "--continue-on-failure",
            // Two would share Python's parser, whose depth of recursion is counted for both together (CPython issue 106905).
            "--workers",
            "1",
        ])
        .env("XDG_CACHE_HOME", folder)
        .env("SCHEMATHESIS_HOOKS", "hooks.py")
        .env("ORCHESTRATION", &server.orchestration)
        .current_dir(folder);
    shell::ends_well(&mut command)
}

/// What is made up meets what is there: three of four keys become a write's own, since under one and the same all writes but the first
/// are refused before anybody looks at them; and every other orchestration becomes the one that there is.
const HOOKS: &str = r#"
import itertools, os, re, schemathesis

WRITES, ASKED = itertools.count(), itertools.count()
THERE = {
    "id": ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", os.environ["ORCHESTRATION"]),
    "agent": (".+", "plan-lint"),
    "step": (".+", "plan-lint"),
    "version": ("[0-9]+", "3"),
}

@schemathesis.hook
def before_call(context, case, **kwargs):
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,255}", key):
        number = next(WRITES)
        if number % 4:
            case.headers["Idempotency-Key"] = f"write-{number}"
    if case.operation.path.startswith("/api/orchestrat") and next(ASKED) % 2:
        for name, (pattern, there) in THERE.items():
            if re.fullmatch(pattern, str((case.path_parameters or {}).get(name, ""))):
                case.path_parameters[name] = there
"#;

/// After the storm the server must still be there.
const HEALTH: &str = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/health', timeout=10).read()";

/// A server of our own on a fresh database, ended with this value.
struct Server {
    child: Child,
    address: SocketAddr,
    /// An admin's: without one, the first key that the fuzzer makes would lock it out.
    key: String,
    /// One that is complete, over a real plan.
    orchestration: String,
}

/// Nobody is fuzzed at ten requests a second.
const CONFIGURATION: &str = "[access]\nrequestsPerSecond = 0\n";

impl Server {
    fn start(folder: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = fs::File::create(folder.join("log"))?;
        fs::write(folder.join("afterplan.toml"), CONFIGURATION)?;
        let program = shell::target()?.join("debug").join("afterplan");
        let database = folder.join("afterplan.db");
        let key = shell::output(
            Command::new(&program)
                .args(["keys", "create", "--role", "admin", "--label", "fuzz"])
                .arg("--database")
                .arg(&database),
        )?;
        let key = key.split_whitespace().find(|word| word.starts_with("afp_"));
        let key = key.context("`keys create` prints no key")?.to_owned();
        let child = Command::new(&program)
            .args(["serve", "--listen", &address.to_string()])
            .arg("--database")
            .arg(&database)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the server cannot be started")?;
        let mut server = Self {
            child,
            address,
            key,
            orchestration: String::new(),
        };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            if server.child.try_wait()?.is_some() || began.elapsed() > Duration::from_secs(30) {
                let said = fs::read_to_string(folder.join("log")).unwrap_or_default();
                bail!("the server does not start: {said}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server.orchestration = server.enriched(&program, folder)?;
        Ok(server)
    }

    /// Has the sample plan enriched, and says as which orchestration.
    fn enriched(&self, program: &Path, folder: &Path) -> Result<String> {
        let plan = shell::root()?.join("examples/plans/harbour-ferry-solveig");
        let said = shell::output(
            Command::new(program)
                .arg("enrich")
                .arg(plan)
                .args(["--json", "--server", &format!("http://{}", self.address)])
                .args(["--api-key", &self.key, "--out"])
                .arg(folder.join("enriched")),
        )?;
        let (_, from) = said
            .split_once("\"orchestration\": \"")
            .context("`enrich --json` names no orchestration")?;
        Ok(from.chars().take_while(|c| *c != '"').collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
