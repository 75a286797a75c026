//! Who calls: an account and a role, by key, or `system` on a loopback without keys.

use axum::extract::FromRequestParts;
use domain::values::ids::AccountId;
use domain::values::role::{Deed, Role};
use http::HeaderMap;
use http::header::{
    AUTHORIZATION, HOST, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL, WWW_AUTHENTICATE,
};
use http::request::Parts;

use crate::api::error::{Code, Problem};
use crate::app::App;

/// What a WebSocket's protocols begin with that carry a key: browsers set no other header there.
const KEY_PROTOCOL: &str = "afterplan.key.";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose rows it sees.
    pub account: AccountId,
    /// What it may do.
    pub role: Role,
    /// Its key's id; none on a loopback without keys.
    pub key: Option<String>,
}

impl Caller {
    /// Nothing, where it may do `deed`.
    ///
    /// # Errors
    /// 403 where it may not.
    pub fn may(&self, deed: Deed) -> Result<(), Problem> {
        if self.role.may(deed) {
            return Ok(());
        }
        Err(Problem::new(
            Code::Forbidden,
            format!("a key of the role `{}` may not do this", self.role),
        ))
    }

    /// Whether it may see what belongs to `account`.
    pub fn sees(&self, account: &str) -> bool {
        self.account.as_str() == account || self.role.may(Deed::AllAccounts)
    }

    /// Who it is, in a word: for events that name a person.
    pub fn name(&self) -> String {
        match &self.key {
            Some(key) => format!("{}/{key}", self.account),
            None => self.account.to_string(),
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::internal("a route outside the guard asks who calls"))
    }
}

/// Finds out who sent these headers.
///
/// # Errors
/// 401 without a valid key where one is needed; 403 for a foreign host or origin where none is.
pub async fn identify(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let now = app.engine.clock.now();
    if let Some(text) = key_text(headers)? {
        let holder = app.keys.holder(&app.engine.store, text, now).await?;
        let holder =
            holder.ok_or_else(|| unauthorized("the key is unknown, expired or revoked"))?;
        return Ok(Caller {
            account: holder.account,
            role: holder.role,
            key: Some(holder.id),
        });
    }
    if !app.open || app.keys.any(&app.engine.store, now).await? {
        return Err(unauthorized(
            "send `Authorization: Bearer <key>`; `afterplan keys create` makes a key",
        ));
    }
    at_home(app, headers)?;
    Ok(Caller {
        account: AccountId::system(),
        role: Role::Admin,
        key: None,
    })
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(Code::Unauthorized, detail).with_header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"afterplan\""),
    )
}

/// The key that the headers carry, if any.
fn key_text(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let bearer = value.to_str().ok().and_then(|text| {
            let (scheme, key) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
        return bearer
            .map(Some)
            .ok_or_else(|| unauthorized("the Authorization header is no `Bearer <key>`"));
    }
    let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    Ok(protocols
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|protocol| protocol.trim().strip_prefix(KEY_PROTOCOL)))
}

/// Without keys only this machine may call, and only by its own names: a page elsewhere can make a browser send requests
/// here, under its own name (DNS rebinding) or from its own origin.
fn at_home(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let known = |authority: &str| {
        let host = host_of(authority);
        is_loopback_name(host)
            || app
                .settings
                .access
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(host))
    };
    let refused = |what: &str, value: &HeaderValue| {
        Problem::new(
            Code::HostRefused,
            format!(
                "the {what} {:?} is none of this server's: while there are no keys it answers to localhost alone (access.hosts, access.origins)",
                String::from_utf8_lossy(value.as_bytes())
            ),
        )
    };
    if let Some(host) = headers.get(HOST)
        && !host.to_str().is_ok_and(known)
    {
        return Err(refused("host", host));
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let allowed = origin.to_str().is_ok_and(|origin| {
        app.settings
            .access
            .origins
            .iter()
            .any(|known| known == origin)
            || origin
                .split_once("://")
                .is_some_and(|(_, authority)| known(authority))
    });
    if allowed {
        Ok(())
    } else {
        Err(refused("origin", origin))
    }
}

/// The host of `host:port`, brackets of an IPv6 address included.
fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

fn is_loopback_name(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_its_names_with_or_without_a_port() {
        for name in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "127.9.9.9",
        ] {
            assert!(is_loopback_name(host_of(name)), "{name}");
        }
        for name in [
            "example.org",
            "localhost.example.org:80",
            "10.0.0.1",
            "[::2]:1",
            "",
        ] {
            assert!(!is_loopback_name(host_of(name)), "{name}");
        }
    }
}
