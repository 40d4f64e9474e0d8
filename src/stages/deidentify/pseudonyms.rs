//! Names for ids that only we can turn back: the same id, the same name, without a table to keep.
//!
//! AES-SIV (RFC 5297) makes the same of the same and refuses what it didn't make. Ids are padded to a multiple of 16
//! bytes, so that a name doesn't tell how long the id is.

use std::fmt;

use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;

use super::Secret;

/// What an id is of: an id of one sort is no id of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Patient,
    Document,
    Encounter,
}

impl Sort {
    fn word(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Document => "document",
            Self::Encounter => "encounter",
        }
    }
}

/// Names of one tenant's ids.
#[derive(Clone)]
pub struct Pseudonyms {
    key: [u8; 32],
    tenant: String,
}

const BLOCK: usize = 16;
/// Closes an id before it is padded with zeros.
const END: u8 = 0x80;

impl Pseudonyms {
    pub fn new(secret: &Secret, tenant: &str) -> Self {
        Self { key: secret.pseudonyms, tenant: tenant.to_owned() }
    }

    pub fn of(&self, sort: Sort, id: &str) -> String {
        let mut padded = id.as_bytes().to_vec();
        padded.push(END);
        padded.resize(padded.len().next_multiple_of(BLOCK), 0);
        let sealed = Aes128Siv::new(&self.key.into()).encrypt(self.context(sort), &padded);
        hex::encode(sealed.expect("an id is shorter than the cipher's limit"))
    }

    /// The id behind a name; `None` for what isn't a name of ours for an id of this sort.
    pub fn id(&self, sort: Sort, name: &str) -> Option<String> {
        let sealed = hex::decode(name).ok().filter(|_| name.bytes().all(|byte| !byte.is_ascii_uppercase()))?;
        let mut padded = Aes128Siv::new(&self.key.into()).decrypt(self.context(sort), &sealed).ok()?;
        let end = padded.iter().rposition(|byte| *byte != 0).filter(|end| padded[*end] == END)?;
        padded.truncate(end);
        String::from_utf8(padded).ok()
    }

    fn context(&self, sort: Sort) -> [&[u8]; 2] {
        [sort.word().as_bytes(), self.tenant.as_bytes()]
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Pseudonyms, Sort};
    use crate::stages::deidentify::Secret;

    fn pseudonyms(tenant: &str) -> Pseudonyms {
        Pseudonyms::new(&Secret::new(&[7; 32]).unwrap(), tenant)
    }

    proptest! {
        #[test]
        fn a_name_turns_back_into_its_id_and_into_nothing_else(id in ".*", other in ".*") {
            let names = pseudonyms("main");
            let name = names.of(Sort::Patient, &id);
            prop_assert_eq!(names.id(Sort::Patient, &name), Some(id.clone()));
            prop_assert_eq!(names.id(Sort::Document, &name), None);
            prop_assert_eq!(pseudonyms("south").id(Sort::Patient, &name), None);
            prop_assert_eq!(names.id(Sort::Patient, &id), None, "an id is no name");
            prop_assert_eq!(names.of(Sort::Patient, &other) == name, other == id);
        }
    }

    #[test]
    fn names_of_short_ids_are_equally_long() {
        let names = pseudonyms("main");
        assert_eq!(names.of(Sort::Patient, "p1").len(), names.of(Sort::Patient, "p-nakamura").len());
    }
}
