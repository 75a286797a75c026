//! `afterplan serve`: the house with its door open.

pub mod codebuff;
pub mod definitions;
pub mod models;
pub mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::money::prices::Prices;
use domain::values::ids::HolderId;
use domain::values::time::Millis;
use engine::agents::{RegisterError, register};
use engine::billing::Billing;
use engine::handle::{Engine, Scope};
use engine::outside::Outside;
use engine::registry::Source;
use engine::replica::Replica;
use engine::sharing::{Limits, ProviderLimits, Sharing};
use providers::outgoing::{Outgoing, OutgoingSettings};
use providers::sign::SigningSecret;
use server::app::{ServeError, serve as serve_at};
use server::config::Settings;
use server::enriched::label;
use store::url::DatabaseUrl;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::arguments::ServeRequest;
use crate::failure::{COMPLETE, Failure, INTERRUPTED};
use crate::screen::{note, plain, say, shown};
use crate::{choices, environment, house, signals};

/// Attempts at one time, where the settings leave it open: they wait for others far more than they reckon.
const SLOTS: usize = 64;

/// Between two of the pieces that make the allocator hand back what was given up before.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(3);

/// Bytes of such a piece: never written to, so that it takes no memory.
const PIECE: usize = 1 << 20;

/// Serves until a signal comes.
pub async fn serve(given: Option<&str>, request: ServeRequest) -> Result<u8, Failure> {
    let (settings, file) = settings::settings(&request, given)?;
    let database = choices::database(settings.database.as_deref())?;
    let outside = outside(&settings)?;
    let slots = if settings.slots == 0 {
        SLOTS
    } else {
        settings.slots
    };
    let engine = house::open_with(
        &database,
        outside,
        billing(&settings)?,
        sharing(&settings),
        slots,
    )
    .await?;
    let served = on(&engine, settings, file, &database).await;
    engine.store.close().await;
    served
}

/// Registers what is to be registered, begins to work, and lets callers in until a signal comes.
async fn on(
    engine: &Engine,
    settings: Settings,
    file: Option<PathBuf>,
    database: &DatabaseUrl,
) -> Result<u8, Failure> {
    engine::agents::refresh(engine).await?;
    seed(engine).await?;
    for path in &settings.agents {
        for definition in definitions::read(path)? {
            register(engine, definition, Source::File, None)
                .await
                .map_err(|error| unregistered(&shown(path), error))?;
        }
    }
    let keys = engine.store.any_key().await?;
    let replica = Replica::start(engine, HolderId(Uuid::now_v7()), &label()).await?;
    engine.set_scope(Scope::Everything);
    engine.work.look();
    let shutdown = CancellationToken::new();
    let (ready, bound) = oneshot::channel();
    let tls = settings.tls.cert.is_some();
    let greeting = Greeting {
        engine,
        database,
        keys: keys || settings.access.require_keys,
        tls,
        file,
    };
    let stop = shutdown.clone();
    let serving = serve_at(engine.clone(), settings, shutdown, ready);
    tokio::spawn(give_back());
    let greeted = async {
        // Heard from the start: who is told that it serves may stop it at once.
        let mut stopped = std::pin::pin!(signals::first());
        tokio::select! {
            biased;
            () = stopped.as_mut() => {}
            bound = bound => {
                if let Ok(address) = bound {
                    greeting.say(address);
                }
                stopped.await;
            }
        }
        tell("stopping: requests under way may still end; the same signal again leaves at once");
        stop.cancel();
        signals::first().await;
        std::process::exit(i32::from(INTERRUPTED));
    };
    let served = tokio::select! {
        served = serving => served,
        () = greeted => Ok(()),
    };
    let stopped = replica.stop().await;
    served.map_err(refused)?;
    stopped?;
    Ok(COMPLETE)
}

/// The allocator hands what was given up back to the system a second later at the soonest, and only when more is given up: on
/// a server that has nothing to do nothing would be. So a large piece is, now and then.
async fn give_back() {
    loop {
        tokio::time::sleep(GIVE_BACK_EVERY).await;
        drop(std::hint::black_box(Vec::<u8>::with_capacity(PIECE)));
    }
}

/// Says it to people, or to the log where that is for programs.
pub fn tell(line: &str) {
    if environment::is_production() {
        tracing::info!("{line}");
    } else {
        note(line);
    }
}

/// Registers the agents that the program brings along for a server.
///
/// # Errors
/// When the database fails, or one of their versions says something else there.
pub async fn seed(engine: &Engine) -> Result<Vec<String>, Failure> {
    let mut seeded = Vec::new();
    for definition in engine::agents::seeds().map_err(Failure::failed)? {
        let id = definition.id.to_string();
        register(engine, definition, Source::BuiltIn, None)
            .await
            .map_err(|error| unregistered(&id, error))?;
        seeded.push(id);
    }
    Ok(seeded)
}

/// Why a definition was not registered, with what it came from.
pub fn unregistered(what: &str, error: RegisterError) -> Failure {
    match error {
        RegisterError::Store(error) => error.into(),
        error => Failure::refused(format!("{what}: {error}")),
    }
}

/// How agents outside are reached.
///
/// # Errors
/// A sentence that names the setting that cannot be used.
pub fn outside(settings: &Settings) -> Result<Outside, Failure> {
    let unusable = |key: &str, why: String| {
        Failure::refused(format!(
            "the setting outgoing.{key} cannot be used: {why}; config.default.toml explains it"
        ))
    };
    let mut allow = settings.outgoing.allow.clone();
    // Who names the base URL wants it asked, wherever it is.
    if let Some(url) = &settings.agents_base_url {
        allow.push(host_and_port(url).ok_or_else(|| {
            Failure::refused(format!(
                "the setting agentsBaseUrl cannot be used: `{url}` does not look like http://host:3000; config.default.toml explains it"
            ))
        })?);
    }
    let may = OutgoingSettings {
        allow,
        connect_timeout: Millis(settings.outgoing.connect_timeout),
        ..OutgoingSettings::default()
    };
    let outgoing =
        Outgoing::new(may.clone()).map_err(|error| unusable("allow", error.to_string()))?;
    let secret = |(agent, secret): (&String, &server::config::Secret)| {
        let secret = SigningSecret::new(&secret.0)
            .map_err(|error| unusable(&format!("signingSecrets.{agent}"), error.to_string()))?;
        Ok((agent.clone(), secret))
    };
    let secrets = settings.outgoing.signing_secrets.iter().map(secret);
    let mut outside = Outside {
        outgoing: Some(outgoing),
        agents_base_url: settings.agents_base_url.clone(),
        signing_secrets: secrets.collect::<Result<_, Failure>>()?,
        answer_max: settings.outgoing.answer_bytes,
        ..Outside::default()
    };
    models::put(settings, may, &mut outside)?;
    Ok(outside)
}

/// What is billed by.
///
/// # Errors
/// A price table that cannot be read.
pub fn billing(settings: &Settings) -> Result<Billing, Failure> {
    let own = Billing {
        default_budget: settings.default_budget,
        initial_grant: settings.credits.initial_grant,
        ..Billing::default()
    };
    let Some(path) = &settings.credits.prices else {
        return Ok(own);
    };
    let unusable = |why: &dyn std::fmt::Display| {
        Failure::refused(format!(
            "the price table {} cannot be used: {why}; docs/billing.md shows one, the setting credits.prices names it",
            shown(path)
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
    let over = Prices::from_toml(&text).map_err(|error| unusable(&error))?;
    Ok(Billing {
        prices: Arc::new(Prices::clone(&own.prices).overlaid(over)),
        ..own
    })
}

/// How what is scarce is shared.
pub fn sharing(settings: &Settings) -> Sharing {
    use std::num::{NonZeroU32, NonZeroU64};
    let limits = |requests: Option<NonZeroU64>,
                  tokens: Option<NonZeroU64>,
                  concurrency: Option<NonZeroU32>| Limits {
        requests_per_minute: requests.map(u64::from),
        tokens_per_minute: tokens.map(u64::from),
        concurrency: concurrency.map(NonZeroU32::get),
    };
    let model = |(name, of): (&String, &server::config::ModelLimits)| {
        let limits = limits(of.requests_per_minute, of.tokens_per_minute, of.concurrency);
        (name.clone(), limits)
    };
    let provider = |(name, of): (&String, &server::config::Provider)| {
        let limits = ProviderLimits {
            all: limits(of.requests_per_minute, of.tokens_per_minute, of.concurrency),
            models: of.models.iter().map(model).collect(),
        };
        (name.clone(), limits)
    };
    let weight = |(account, weight): (&String, &NonZeroU32)| (account.clone(), weight.get());
    Sharing {
        providers: settings.providers.iter().map(provider).collect(),
        weights: settings.weights.iter().map(weight).collect(),
    }
}

/// `host:port` of an http or https URL.
fn host_and_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit('@')
        .next()
        .filter(|host| !host.is_empty())?;
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    Some(if has_port {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    })
}

fn refused(error: ServeError) -> Failure {
    match error {
        ServeError::Store(error) => error.into(),
        ServeError::NoKeys(_) | ServeError::KeysRequired | ServeError::Tls(_) => {
            Failure::refused(error)
        }
        ServeError::Listen { .. } => {
            Failure::refused(format!("{error}; --listen or PORT names another"))
        }
    }
}

/// What is said once the server can be reached.
struct Greeting<'a> {
    engine: &'a Engine,
    database: &'a DatabaseUrl,
    keys: bool,
    tls: bool,
    file: Option<PathBuf>,
}

impl Greeting<'_> {
    fn say(&self, address: SocketAddr) {
        let scheme = if self.tls { "https" } else { "http" };
        let url = format!("{scheme}://{address}");
        let agents = self.engine.registry.snapshot();
        let names: Vec<&str> = agents.enabled().keys().map(|id| id.as_str()).collect();
        let settings = self
            .file
            .as_deref()
            .map_or_else(|| "the program's own".to_owned(), shown);
        let access = if self.keys {
            "by key (account `system` and others): Authorization: Bearer KEY"
        } else {
            "no keys yet: everyone on this machine is admin of account `system`; `afterplan keys create --role admin` makes the first"
        };
        let database = plain(&self.database.to_string());
        if environment::is_production() {
            tracing::info!(
                url,
                database,
                access,
                agents = names.join(","),
                settings,
                "serving"
            );
            return;
        }
        say(&format!("{} listens at {url}", label()));
        say(&format!("  database   {database}"));
        say(&format!("  settings   {settings}"));
        say(&format!("  access     {access}"));
        say(&format!(
            "  agents     {}: {}",
            names.len(),
            names.join(", ")
        ));
        say(&format!("  reference  {url}/api/docs"));
    }
}
