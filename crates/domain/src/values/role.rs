//! What a caller may do: roles and deeds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything, to every account.
    Admin,
    /// May do everything to its own account but hand out keys and credits, and says who of PlanExe's users pays. Agents belong to no
    /// account: only one of account `system` registers them.
    Operator,
    /// May submit plans and steer what came of them.
    Submitter,
    /// An outside worker's: it sees what it works on.
    Worker,
    /// May look.
    Viewer,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deed {
    /// Look at what belongs to the account.
    Read,
    /// Submit a plan.
    Submit,
    /// Cancel, pause, resume or approve.
    Steer,
    /// Register or retire agents.
    Register,
    /// Name a plan by its path on the server.
    ReadPaths,
    /// Create, list and revoke keys.
    Keys,
    /// Say which of PlanExe's users an orchestration is charged to.
    OnBehalf,
    /// Grant credits, correct balances, set quotas and what happens at a limit.
    Money,
    /// Look at, and act for, accounts other than one's own.
    AllAccounts,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::Operator,
        Self::Submitter,
        Self::Worker,
        Self::Viewer,
    ];

    /// The name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Submitter => "submitter",
            Self::Worker => "worker",
            Self::Viewer => "viewer",
        }
    }

    /// Whether this role may do `deed`.
    pub const fn may(self, deed: Deed) -> bool {
        match deed {
            Deed::Read => true,
            Deed::Submit | Deed::Steer => {
                matches!(self, Self::Admin | Self::Operator | Self::Submitter)
            }
            Deed::Register | Deed::ReadPaths | Deed::OnBehalf => {
                matches!(self, Self::Admin | Self::Operator)
            }
            Deed::Keys | Deed::Money | Deed::AllAccounts => matches!(self, Self::Admin),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: one of admin, operator, submitter, worker, viewer")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let named = Self::ALL.into_iter().find(|role| role.name() == text);
        named.ok_or_else(|| UnknownRole(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_its_name_promises_and_no_more() {
        let all = [
            Deed::Read,
            Deed::Submit,
            Deed::Steer,
            Deed::Register,
            Deed::ReadPaths,
            Deed::OnBehalf,
            Deed::Keys,
            Deed::Money,
            Deed::AllAccounts,
        ];
        let may = |role: Role| all.map(|deed| u8::from(role.may(deed)));
        assert_eq!(may(Role::Admin), [1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(may(Role::Operator), [1, 1, 1, 1, 1, 1, 0, 0, 0]);
        assert_eq!(may(Role::Submitter), [1, 1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(may(Role::Worker), [1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(may(Role::Viewer), [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_role_is_read_by_its_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::json!(role), role.name());
        }
        assert!("root".parse::<Role>().is_err());
    }
}
