//! The sentences that are chosen as evidence, and the abstracts they come from, held against judgements.
