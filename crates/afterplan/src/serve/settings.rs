//! A server's settings: the program's own, then the file's, then the environment's, then the command line's.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use server::config::{Secret, Settings};

use crate::arguments::ServeRequest;
use crate::environment::said;
use crate::failure::Failure;
use crate::screen::shown;

/// The file that is read when no other is named.
const USUAL: &str = "afterplan.toml";

/// In bytes.
const FILE_LIMIT: u64 = 1_000_000;

/// The settings, with the file that they came from if there was one. `database` is the command line's or `AFTERPLAN_DATABASE`.
///
/// # Errors
/// A sentence that names what is wrong, where it stands, and the way out.
pub fn settings(
    request: &ServeRequest,
    database: Option<&str>,
) -> Result<(Settings, Option<PathBuf>), Failure> {
    let file = file(request.config.as_deref())?;
    let mut settings = match &file {
        Some(path) => read(path)?,
        None => Settings::default(),
    };
    from_environment(&mut settings, &said)?;
    from_command_line(&mut settings, request, database);
    match settings.unusable() {
        Some((key, why)) => Err(Failure::refused(format!(
            "the setting {key} cannot be used: {why}; config.default.toml explains it"
        ))),
        None => Ok((settings, file)),
    }
}

/// The settings that stand in this folder and in the environment: for who asks agents without serving.
///
/// # Errors
/// As [`settings`].
pub fn at_hand() -> Result<Settings, Failure> {
    let mut settings = file(None)?.map_or_else(|| Ok(Settings::default()), |path| read(&path))?;
    from_environment(&mut settings, &said)?;
    Ok(settings)
}

/// The file to read: the named one, else the usual one where there is one.
fn file(named: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    match named {
        Some(path) if path.is_file() => Ok(Some(path.to_owned())),
        Some(path) => Err(Failure::refused(format!(
            "--config {} is no file; config.default.toml shows what one may say",
            shown(path)
        ))),
        None => Ok(Some(PathBuf::from(USUAL)).filter(|path| path.is_file())),
    }
}

fn read(path: &Path) -> Result<Settings, Failure> {
    let name = shown(path);
    let long = fs::metadata(path).is_ok_and(|metadata| metadata.len() > FILE_LIMIT);
    if long {
        return Err(Failure::refused(format!(
            "{name} has more than 1 MB, and no settings have; give another --config"
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::refused(format!(
            "{name} cannot be read: {error}; give another --config"
        ))
    })?;
    toml::from_str(&text).map_err(|error| {
        let place = error.span().map_or_else(String::new, |span| {
            let line = text[..span.start.min(text.len())].matches('\n').count();
            let words = text.lines().nth(line).unwrap_or_default().trim();
            // Where a secret stands it stays.
            let words = if words.contains("whsec_") {
                "…"
            } else {
                words
            };
            format!(" line {} (`{words}`)", line + 1)
        });
        Failure::refused(format!(
            "{name}{place}: {}; config.default.toml explains every key",
            error.message().trim()
        ))
    })
}

/// What the environment says; `said` answers for a variable that is set and not empty.
fn from_environment(
    settings: &mut Settings,
    said: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    if let Some(listen) = said("AFTERPLAN_LISTEN") {
        settings.listen = listen.parse::<SocketAddr>().map_err(|_| {
            unclear(
                "AFTERPLAN_LISTEN",
                &listen,
                "an address with a port, such as 0.0.0.0:8080",
            )
        })?;
    }
    if let Some(port) = said("PORT") {
        let number = port
            .parse()
            .map_err(|_| unclear("PORT", &port, "a number up to 65535"))?;
        settings.listen.set_port(number);
    }
    if let Some(url) = said("DATABASE_URL") {
        settings.database = Some(url);
    }
    if let Some(url) = said("AFTERPLAN_AGENTS_BASE_URL") {
        settings.agents_base_url = Some(url);
    }
    if let Some(allowed) = said("AFTERPLAN_OUTGOING_ALLOW") {
        let entries = allowed.split(',').map(str::trim);
        settings.outgoing.allow = entries
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect();
    }
    if let Some(secret) = said("AFTERPLAN_SIGNING_SECRET") {
        let every = engine::outside::EVERY_AGENT.to_owned();
        settings
            .outgoing
            .signing_secrets
            .insert(every, Secret(secret));
    }
    Ok(())
}

fn unclear(name: &str, value: &str, wanted: &str) -> Failure {
    Failure::refused(format!(
        "the environment says {name}={}, which is not {wanted}",
        crate::screen::plain(value)
    ))
}

fn from_command_line(settings: &mut Settings, request: &ServeRequest, database: Option<&str>) {
    if let Some(listen) = request.listen {
        settings.listen = listen;
    }
    if let Some(url) = database.filter(|url| !url.is_empty()) {
        settings.database = Some(url.to_owned());
    }
    settings.agents.extend(request.agents.iter().cloned());
    if let Some(url) = &request.agents_base_url {
        settings.agents_base_url = Some(url.clone());
    }
    settings
        .outgoing
        .allow
        .extend(request.allow.iter().cloned());
    if let (Some(cert), Some(key)) = (&request.tls_cert, &request.tls_key) {
        settings.tls.cert = Some(cert.clone());
        settings.tls.key = Some(key.clone());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request() -> ServeRequest {
        ServeRequest {
            listen: None,
            config: None,
            agents: Vec::new(),
            agents_base_url: None,
            allow: Vec::new(),
            tls_cert: None,
            tls_key: None,
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let mut settings: Settings = toml::from_str(
            "listen = '0.0.0.0:1'\ndatabase = 'file'\nagentsBaseUrl = 'http://file'",
        )
        .unwrap();
        let said = |name: &str| match name {
            "PORT" => Some("2".to_owned()),
            "DATABASE_URL" => Some("environment".to_owned()),
            _ => None,
        };
        from_environment(&mut settings, &said).unwrap();
        assert_eq!(settings.listen.to_string(), "0.0.0.0:2");
        assert_eq!(settings.database.as_deref(), Some("environment"));
        assert_eq!(settings.agents_base_url.as_deref(), Some("http://file"));
        let request = ServeRequest {
            listen: Some("127.0.0.1:3".parse().unwrap()),
            ..request()
        };
        from_command_line(&mut settings, &request, Some("flag"));
        assert_eq!(settings.listen.to_string(), "127.0.0.1:3");
        assert_eq!(settings.database.as_deref(), Some("flag"));
    }

    #[test]
    fn every_variable_is_heard_and_says_what_it_wins_over() {
        let mut settings: Settings = toml::from_str(
            "[outgoing]\nallow = ['10.0.0.0/8']\nsigningSecrets = { a = 'whsec_a' }",
        )
        .unwrap();
        let said = |name: &str| {
            let value = match name {
                "AFTERPLAN_LISTEN" => "[::1]:80",
                "PORT" => "81",
                "AFTERPLAN_AGENTS_BASE_URL" => "http://agents",
                "AFTERPLAN_OUTGOING_ALLOW" => "agents:80, , 192.168.0.0/16",
                "AFTERPLAN_SIGNING_SECRET" => "whsec_b",
                _ => return None,
            };
            Some(value.to_owned())
        };
        from_environment(&mut settings, &said).unwrap();
        assert_eq!(settings.listen.to_string(), "[::1]:81");
        assert_eq!(settings.agents_base_url.as_deref(), Some("http://agents"));
        let outgoing = &settings.outgoing;
        assert_eq!(outgoing.allow, ["agents:80", "192.168.0.0/16"]);
        let of = |agent: &str| outgoing.signing_secrets.get(agent).map(|s| s.0.as_str());
        assert_eq!((of("a"), of("*")), (Some("whsec_a"), Some("whsec_b")));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_line_and_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        for (text, parts) in [
            (
                "slots = 1\n[limits]\njsonByte = 3\n",
                ["line 3", "jsonByte"],
            ),
            ("listen = 'here'\n", ["line 1", "listen"]),
            ("[limits]\ndrain = 'soon'\n", ["line 2", "drain"]),
            ("slots = = 2\n", ["line 1", "slots"]),
        ] {
            fs::write(&path, text).unwrap();
            let sentence = read(&path).unwrap_err().to_string();
            for part in parts.into_iter().chain(["a.toml", "config.default.toml"]) {
                assert!(sentence.contains(part), "{part} is not in: {sentence}");
            }
        }
    }

    #[test]
    fn what_the_environment_says_wrongly_is_told_with_its_name() {
        let said = |name: &str| (name == "PORT").then(|| "http".to_owned());
        let sentence = from_environment(&mut Settings::default(), &said).unwrap_err();
        assert!(sentence.to_string().contains("PORT=http"), "{sentence}");
    }
}
