//! Takes out of texts what says who somebody is: the 18 categories of the HIPAA Safe Harbor list, by rules, by word
//! lists and by what the patient's own record says of the patient.
//!
//! ```text
//! Secret     the key that surrogates, pseudonyms and shifts are made with
//! Subject    one patient as the secret sees them: their names and numbers, their surrogates, their shift in days
//! mask       text + Subject -> Masked: the text as it may be shown, and where each place of the text went
//! Pseudonyms ids -> names that only we can turn back
//! ```
//!
//! The finders run from the surest to the vaguest (`codes`, `numbers`, `dates`, `places`, `names`); what one has taken
//! the next leaves alone. What stands in a mark of our own is left alone, too, so masking twice changes nothing.
//!
//! Dates are moved by a number of days that is the patient's own, so intervals are kept. That is more than Safe Harbor
//! leaves, which keeps the year alone: see docs/security.md.

mod category;
mod cues;
mod dates;
mod findings;
mod names;
mod numbers;
mod places;
mod pseudonyms;
mod secret;
mod subject;
#[cfg(test)]
mod tests;
mod tokens;
mod vocabulary;

pub use category::Category;
pub use findings::{Edit, Masked};
pub use pseudonyms::{Pseudonyms, Sort};
pub use secret::Secret;
pub use subject::{Known, Subject};
pub use vocabulary::{is_everyday, is_region};

use findings::Findings;
use jiff::civil::Date;

/// The text without what says who somebody is. `today` decides which dates are those of people over 89.
pub fn mask(text: &str, subject: &Subject, today: Date) -> Masked {
    let mut findings = Findings::new(text);
    numbers::protect(&mut findings);
    subject.find_known(&mut findings);
    numbers::find(&mut findings, subject);
    dates::find(&mut findings, subject, today);
    places::find(&mut findings, subject);
    names::find(&mut findings, subject);
    findings.into_masked()
}

/// A question without what could find a person by it: names, dates, numbers and places go, and nothing takes their
/// place.
pub fn without_identifiers(question: &str, subject: &Subject, today: Date) -> String {
    let masked = mask(question, subject, today);
    let mut kept = String::with_capacity(question.len());
    let mut after = 0;
    for edit in &masked.edits {
        kept.push_str(&question[after..edit.from.start]);
        kept.push(' ');
        after = edit.from.end;
    }
    kept.push_str(&question[after..]);
    let words = kept.split_whitespace().filter(|word| !vocabulary::may_only_name(word));
    words.collect::<Vec<_>>().join(" ")
}
