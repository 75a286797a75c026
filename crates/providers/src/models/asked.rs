//! What a question to models may take, what is heard on the way, and what comes of it.

use std::future::Future;

use domain::agent::asking::{Delta, Finish};
use domain::agent::conversing::LLM_RETRIES_DEFAULT;
use domain::money::usage::Usage;
use domain::values::time::Millis;

use crate::failure::Failure;

/// What one question may take. Times are of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskLimits {
    /// How often one model is asked again after its first failure.
    pub retries: u32,
    /// The longest wait for an answer's first piece, connecting included.
    pub first: Millis,
    /// The longest wait between two pieces. What only keeps a connection open is no piece.
    pub between: Millis,
    /// The longest that an answer may take in all.
    pub whole: Millis,
    /// The most bytes of an answer on the wire.
    pub bytes: usize,
    /// The ceiling of the first pause before a model is asked again; it doubles each time.
    pub backoff: Millis,
}

impl Default for AskLimits {
    fn default() -> Self {
        Self {
            retries: LLM_RETRIES_DEFAULT,
            first: Millis(120_000),
            between: Millis(60_000),
            whole: Millis(600_000),
            bytes: 32_000_000,
            backoff: Millis(1_000),
        }
    }
}

/// Who lets each try of a question through, and hears of each that failed.
pub trait Admits: Send {
    /// Whether `model`, as the question names it, may be asked now. May wait a little.
    ///
    /// # Errors
    /// Why it may not be asked: then the next model of the chain is.
    fn admit(&mut self, model: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// A try that was let through has failed.
    fn failed(&mut self, model: &str, failure: &Failure) -> impl Future<Output = ()> + Send;
}

/// What is heard while a question is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// A model is asked; what it says follows.
    Asked {
        /// Whether it was told of its tools in words: then, and only then, it calls them in text form. In the text of any other one a
        /// call is a quotation, of a plan that holds one for instance.
        in_words: bool,
    },
    /// More of the answer.
    Delta(Delta),
    /// The answer broke off and the question is asked again: what was heard so far counts for nothing.
    Anew {
        /// Why, in words that hold no secret.
        why: String,
    },
}

/// What came of a question that was answered whole. The answer itself was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The model as the question named it.
    pub asked: String,
    /// The model as its provider names it: what prices are known by.
    pub model: String,
    /// Why the answer ended.
    pub finish: Finish,
    /// What was used, tries that failed included.
    pub usage: Usage,
    /// What the provider calls this answer, for questions to its support.
    pub request: Option<String>,
}
