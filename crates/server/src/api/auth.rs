//! Who calls: an account and a role, by key, or `system` on a loopback without keys.

use axum::extract::FromRequestParts;
use domain::values::ids::AccountId;
use domain::values::role::{Deed, Role};
use http::request::Parts;

use crate::api::error::{Code, Problem};
use crate::app::App;

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
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Code::Unauthorized, "this request was not identified"))
    }
}
