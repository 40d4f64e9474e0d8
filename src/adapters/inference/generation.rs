//! What every generator offers: a prompt in, pieces of text out, stopped by dropping them.

use tokio::sync::mpsc;

use crate::domain::Prompt;

/// Why a generator has no words, or no more; holds nothing of a prompt or an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    #[error("the generator can't be reached: {0}")]
    Unreachable(&'static str),
    #[error("the generator answers {0}")]
    Status(u16),
    #[error("the generator has failed too often of late and is left alone for a while")]
    Resting,
    #[error("the generator took too long")]
    TooLong,
    #[error("the generator's answer can't be read")]
    Unreadable,
    #[error("the model failed: {0}")]
    Model(String),
}

/// Text as it is generated; whoever drops it stops the generator.
pub struct Generation {
    pieces: mpsc::Receiver<Result<String, GenerateError>>,
}

/// How the words of one prompt are handed over.
pub(super) type Pieces = mpsc::Sender<Result<String, GenerateError>>;

impl Generation {
    /// Few pieces wait: a generator nobody reads from pauses.
    pub(super) fn channel() -> (Pieces, Self) {
        let (sender, pieces) = mpsc::channel(16);
        (sender, Self { pieces })
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<String, GenerateError>> {
        self.pieces.recv().await
    }
}

/// A language model, here or elsewhere.
pub trait Generator: Send + Sync {
    /// Begins at once; must be called within a runtime.
    fn generate(&self, prompt: Prompt) -> Generation;

    /// What to call it in answers and logs.
    fn name(&self) -> &str;

    /// Whether prompts leave this process.
    fn is_elsewhere(&self) -> bool;
}
