//! A throwaway PostgreSQL: found or installed, started on a free port, stopped whatever happens to us.
//!
//! A watcher of its own waits for the end of its standard input, which comes when we drop the cluster and equally when we are
//! interrupted or killed; then it stops the server and removes its folder. So no signal needs handling here.

use std::fs::{self, Permissions};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::shell;

/// The oldest PostgreSQL that the store supports.
const OLDEST: u32 = 15;

/// Starts that may fail because another program took the free port first.
const STARTS: u32 = 5;

/// Connections for all test binaries together; each test holds a handful.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 200
fsync = on
synchronous_commit = on
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
dynamic_shared_memory_type = mmap
";

const WATCHER: &str = r#"
trap '' INT HUP TERM
cat > /dev/null
cd /
# More than once: we may have been killed while the server was being made.
for second in 1 2 3 4 5 6 7 8 9 10; do
    "$1/pg_ctl" -D "$2/data" -m immediate stop
    rm -rf "$2" && exit
    sleep 1
done
"#;

/// A running cluster. Dropping it stops the server and removes its files.
pub(crate) struct Cluster {
    /// `postgres://...`: a superuser's way in.
    pub(crate) url: String,
    watcher: Child,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        if let Err(error) = self.watcher.wait() {
            eprintln!("xtask: the throwaway PostgreSQL may still be there: {error}");
        }
    }
}

/// Starts a cluster of our own, as an unprivileged user where we are root (PostgreSQL refuses root).
pub(crate) fn start() -> Result<Cluster> {
    let programs = find_or_install()?;
    let account = account()?;
    let home = home(account)?;
    let watcher = watch(&programs, &home, account)?;
    let mut cluster = Cluster {
        url: String::new(),
        watcher,
    };
    let password = password()?;
    fs::write(home.join("password"), &password)?;
    let program = |name: &str| unprivileged(Command::new(programs.join(name)), &home, account);
    let options = [
        "--username=afterplan",
        "--encoding=UTF8",
        "--locale=C",
        "--auth=scram-sha-256",
    ];
    shell::output(
        program("initdb")
            .args(["--pgdata=data", "--pwfile=password"])
            .args(options),
    )?;
    give_certificate(&home.join("data"), account)?;
    let log = home.join("log");
    for _ in 0..STARTS {
        let port = free_port()?;
        fs::write(
            home.join("data/postgresql.auto.conf"),
            settings(port, &home),
        )?;
        let mut start = program("pg_ctl");
        start.args(["-D", "data", "-l", "log", "-w", "-t", "60", "start"]);
        // Not through a pipe: the server would keep it open and we would wait for it for ever.
        if shell::ends_well(start.stdout(Stdio::null()).stderr(Stdio::null()))? {
            cluster.url = format!("postgres://afterplan:{password}@127.0.0.1:{port}/postgres");
            return Ok(cluster);
        }
    }
    let log = fs::read_to_string(log).unwrap_or_default();
    bail!("PostgreSQL did not start; its log says:\n{log}")
}

/// Puts the tests' certificate for 127.0.0.1 where the server reads it: it believes a key only that others cannot read.
fn give_certificate(data: &Path, account: Option<(u32, u32)>) -> Result<()> {
    let certificates = shell::root()?.join("crates/providers/tests/it/certificates");
    for (from, to) in [("agent.pem", "server.pem"), ("agent.key", "server.key")] {
        let to = data.join(to);
        fs::copy(certificates.join(from), &to)?;
        fs::set_permissions(&to, Permissions::from_mode(0o600))?;
        if let Some((user, group)) = account {
            chown(&to, Some(user), Some(group))?;
        }
    }
    Ok(())
}

fn settings(port: u16, sockets: &Path) -> String {
    format!(
        "{SETTINGS}port = {port}\nunix_socket_directories = '{}'\n",
        sockets.display()
    )
}

fn watch(programs: &Path, home: &Path, account: Option<(u32, u32)>) -> Result<Child> {
    let mut watcher = unprivileged(Command::new("sh"), home, account);
    watcher.args(["-c", WATCHER, "sh"]).args([programs, home]);
    watcher.process_group(0).stdin(Stdio::piped());
    watcher.stdout(Stdio::null()).stderr(Stdio::null());
    watcher.spawn().context("cannot start sh")
}

/// The folder that holds the server's programs: PATH first, then where packages put them; installed where we may.
fn find_or_install() -> Result<PathBuf> {
    if let Some(found) = find()? {
        return Ok(found);
    }
    install()?;
    find()?.with_context(|| {
        format!("a package was installed, but no PostgreSQL {OLDEST} or newer came with it")
    })
}

fn find() -> Result<Option<PathBuf>> {
    let mut folders = shell::path_folders();
    folders.extend(packaged_folders());
    while let Some(found) = shell::find_in(folders.iter().cloned(), "initdb") {
        let text = shell::output(Command::new(found.join("postgres")).arg("--version"))?;
        if major(&text).is_some_and(|major| major >= OLDEST) {
            return Ok(Some(found));
        }
        folders.retain(|folder| *folder != found);
    }
    Ok(None)
}

/// `postgres (PostgreSQL) 15.18 (Debian ...)` is 15, `17beta1` is 17.
fn major(version: &str) -> Option<u32> {
    let number = version.split(") ").nth(1)?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The newest first.
fn packaged_folders() -> Vec<PathBuf> {
    let parents = [
        "/usr/lib/postgresql",
        "/usr/libexec",
        "/opt/homebrew/opt",
        "/usr/local/opt",
        "/usr",
    ];
    let mut folders: Vec<PathBuf> = parents
        .iter()
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").is_file())
        .collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(digits_in(folder)));
    folders
}

/// The first number in a path: its version, as packages name their folders.
fn digits_in(folder: &Path) -> u32 {
    let text = folder.to_string_lossy();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    numbers.find_map(|digits| digits.parse().ok()).unwrap_or(0)
}

/// A package manager, how it refreshes its lists, how it installs PostgreSQL, and whether it wants to be root.
const INSTALLERS: [(&str, &str, &str, bool); 4] = [
    (
        "apt-get",
        "apt-get update",
        "apt-get install -y --no-install-recommends postgresql",
        true,
    ),
    ("dnf", "", "dnf install -y postgresql-server", true),
    ("apk", "", "apk add postgresql", true),
    ("brew", "", "brew install postgresql@17", false),
];

fn install() -> Result<()> {
    let folders = shell::path_folders();
    let found = INSTALLERS
        .iter()
        .find(|(name, ..)| shell::find_in(folders.iter().cloned(), name).is_some());
    let Some((_, refresh, install, wants_root)) = found else {
        bail!("PostgreSQL {OLDEST} or newer is not in PATH; install it and try again");
    };
    let sudo = if *wants_root && !shell::is_root() {
        "sudo -n "
    } else {
        ""
    };
    if !shell::is_root() && !shell::under_ci() {
        let sudo = sudo.replace(" -n", "");
        bail!("PostgreSQL {OLDEST} or newer is not in PATH; install it with: {sudo}{install}");
    }
    for line in [refresh, install] {
        if line.is_empty() {
            continue;
        }
        println!("Installing PostgreSQL: {sudo}{line}");
        let line = format!("{sudo}{line}");
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        if !shell::ends_well(&mut command)? {
            bail!("this did not work: {line}");
        }
    }
    Ok(())
}

/// Who the server is to be, as user and group ids, where we are root; `None` where we are not.
fn account() -> Result<Option<(u32, u32)>> {
    if !shell::is_root() {
        return Ok(None);
    }
    let id = |option: &str, name: &str| -> Result<u32> {
        Ok(shell::output(Command::new("id").args([option, name]))?.parse()?)
    };
    for name in ["postgres", "nobody"] {
        if let (Ok(user), Ok(group)) = (id("-u", name), id("-g", name)) {
            return Ok(Some((user, group)));
        }
    }
    bail!(
        "PostgreSQL refuses root, and there is no user `postgres` or `nobody`: create one of them"
    )
}

/// A folder that only the server's user may enter, short enough for a socket's path.
fn home(account: Option<(u32, u32)>) -> Result<PathBuf> {
    let home = std::env::temp_dir().join(format!("afterplan-pg-{}", std::process::id()));
    fs::create_dir(&home).with_context(|| format!("cannot create {}", home.display()))?;
    fs::set_permissions(&home, Permissions::from_mode(0o700))?;
    if let Some((user, group)) = account {
        chown(&home, Some(user), Some(group))?;
    }
    Ok(home)
}

fn unprivileged(mut command: Command, home: &Path, account: Option<(u32, u32)>) -> Command {
    command.current_dir(home);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(&name);
        }
    }
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    command
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Other people on this machine must not become superusers of our server.
fn password() -> Result<String> {
    let mut bytes = [0u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_packager_s_text() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(major("postgres (PostgreSQL) 9.6.2"), Some(9));
        assert_eq!(major("mysqld 8"), None);
    }

    #[test]
    fn the_newest_packaged_server_is_taken() {
        assert!(
            digits_in(Path::new("/x/postgresql/17/bin"))
                > digits_in(Path::new("/x/postgresql/9/bin"))
        );
        assert_eq!(digits_in(Path::new("/x/opt/postgresql@16/bin")), 16);
        assert_eq!(digits_in(Path::new("/x/bin")), 0);
    }
}
