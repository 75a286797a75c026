//! How a request to the outside failed, in words that hold no secret.

use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::values::time::Millis;

/// A request that brought nothing usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whether trying again can help.
    pub class: ErrorClass,
    /// What happened. URLs in it are without user name, password, query and fragment.
    pub message: String,
    /// How long the peer asked to wait.
    pub retry_after: Option<Millis>,
    /// What the agent said that it used before it failed.
    pub usage: Box<Usage>,
}

impl Failure {
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            retry_after: None,
            usage: Box::default(),
        }
    }

    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, message)
    }

    pub(crate) fn fatal(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Fatal, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::InvalidOutput, message)
    }
}
