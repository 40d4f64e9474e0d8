//! What a language model is asked.

/// Instructions of ours, and a question with its evidence as data.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt {
    pub system: String,
    pub user: String,
}

impl std::fmt::Debug for Prompt {
    /// A prompt holds records: its text never reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompt").field("characters", &(self.system.len() + self.user.len())).finish_non_exhaustive()
    }
}

/// What of a source's text may be sent to a model outside of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// Nothing.
    #[default]
    None,
    /// Text without names, dates, numbers of people and places, as far as rules find them.
    Deidentified,
    Full,
}
