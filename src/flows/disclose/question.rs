//! Questions of de-identified callers, without what could find a person by it.
//!
//! The index holds the words that masks hide, so a word that stands under a mask would find its document all the same.
//! What rules and lists know goes first. Then each word left is sought by itself: one that the documents found hold
//! under a mask is taken out, too. What is asked after that is what both indexes get.

use std::collections::BTreeSet;

use super::lens::Lens;
use super::{DiscloseError, DiscloseFlow};
use crate::access::Access;
use crate::domain::{CountQuery, Mode, Query, Tuning, today};
use crate::stages::deidentify::{is_everyday, without_identifiers};

/// Passages that each word is looked up in.
const LOOKED_THROUGH: usize = 20;

impl DiscloseFlow {
    /// Errors: nothing is left to ask.
    pub async fn question(&self, access: &Access, asked: Query) -> Result<Query, DiscloseError> {
        let Some(mut lens) = self.lens(access)? else { return Ok(asked) };
        let text = self.bare(access, &mut lens, &asked).await?;
        if !text.contains(char::is_alphanumeric) {
            return Err(DiscloseError::NothingLeft);
        }
        // Which of two patients' records is the newer is nothing that moved dates would tell.
        let is_of_one = asked.filters.patient.is_some() || access.launch_patient().is_some();
        let recency = if is_of_one { asked.tuning.recency } else { 0.0 };
        Ok(Query { text, tuning: Tuning { recency, ..asked.tuning }, ..asked })
    }

    /// As [`Self::question`], for what is counted: without a text, all is.
    pub async fn counted(&self, access: &Access, asked: CountQuery) -> Result<CountQuery, DiscloseError> {
        let Ok(query) = Query::new(&asked.text, Mode::Keyword, asked.filters.clone(), 1) else { return Ok(asked) };
        let query = self.question(access, query).await?;
        Ok(CountQuery { text: query.text, ..asked })
    }

    async fn bare(&self, access: &Access, lens: &mut Lens<'_>, asked: &Query) -> Result<String, DiscloseError> {
        let whose = asked.filters.patient.as_ref().or_else(|| access.launch_patient());
        let subject = lens.subject(whose).await?;
        let text = without_identifiers(&asked.text, &subject, today());
        let mut hidden = BTreeSet::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 1) {
            if !hidden.contains(word) && self.is_hidden(access, lens, asked, word).await? {
                hidden.insert(word.to_owned());
            }
        }
        let is_kept = |part: &&str| !part.split(|c: char| !c.is_alphanumeric()).any(|word| hidden.contains(word));
        Ok(text.split_whitespace().filter(is_kept).collect::<Vec<_>>().join(" "))
    }

    /// Whether the documents that hold a word hold it under a mask: an everyday word everywhere, another anywhere.
    async fn is_hidden(
        &self,
        access: &Access,
        lens: &mut Lens<'_>,
        asked: &Query,
        word: &str,
    ) -> Result<bool, DiscloseError> {
        let tuning = Tuning { expand: false, ..Tuning::default() };
        let sought = Query {
            text: word.to_owned(),
            mode: Mode::Keyword,
            limit: LOOKED_THROUGH,
            neighbours: 0,
            is_marked: true,
            tuning,
            ..asked.clone()
        };
        let found = self.retrieve.run(access, &sought).await?;
        let (mut hidden, mut plain) = (false, false);
        for (passage, detail) in found.passages.iter().zip(&found.details) {
            let masked = lens.masked(&passage.document).await?;
            for span in &detail.highlights {
                let is_hidden = masked.hides(*span);
                hidden |= is_hidden;
                plain |= !is_hidden;
            }
        }
        Ok(hidden && !(plain && is_everyday(word)))
    }
}
