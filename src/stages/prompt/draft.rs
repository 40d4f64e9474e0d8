//! A model's words as they come, cut into sentences with the numbers they cite.

/// The longest sentence that is waited for, in bytes.
const LONGEST: usize = 2_000;

/// A whole sentence that a model wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drafted {
    pub text: String,
    /// From 1, as the evidence is numbered; each once.
    pub cited: Vec<usize>,
}

/// Collects pieces; a sentence comes out once what follows it has begun, since its citations follow its full stop.
#[derive(Debug, Default)]
pub struct Draft {
    waiting: String,
}

impl Draft {
    /// Takes the next piece; returns the sentences that it completes.
    pub fn push(&mut self, piece: &str) -> Vec<Drafted> {
        self.waiting.push_str(piece);
        let mut whole = Vec::new();
        while let Some(end) = sentence_end(&self.waiting) {
            let rest = self.waiting.split_off(end);
            whole.extend(drafted(&std::mem::replace(&mut self.waiting, rest)));
        }
        if self.waiting.len() > LONGEST {
            self.waiting.clear();
        }
        whole
    }

    /// What is left when no more comes.
    pub fn finish(self) -> Option<Drafted> {
        drafted(&self.waiting)
    }
}

/// Where the first whole sentence ends: after its citations, or at a line's end.
fn sentence_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\n' if !text[..at].trim().is_empty() => return Some(at + 1),
            b']' => {
                let mut after = at + 1;
                while matches!(bytes.get(after), Some(b' ' | b'.' | b',' | b'[' | b'0'..=b'9' | b']')) {
                    after += 1;
                }
                // Only what comes next tells that no more numbers do.
                return (after < bytes.len()).then(|| split_before(text, at + 1, after));
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The end of a run of citations: digits after the last bracket belong to the next sentence.
fn split_before(text: &str, from: usize, to: usize) -> usize {
    text[from..to].rfind(']').map_or(from, |last| from + last + 1).max(dot_after(text, from, to))
}

fn dot_after(text: &str, from: usize, to: usize) -> usize {
    let last = text[from..to].rfind(']').map_or(from, |last| from + last + 1);
    if text.as_bytes().get(last) == Some(&b'.') { last + 1 } else { last }
}

fn drafted(text: &str) -> Option<Drafted> {
    let mut cited = Vec::new();
    let mut words = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        words.push_str(before);
        let Some((inside, beyond)) = after.split_once(']') else {
            words.push('[');
            rest = after;
            continue;
        };
        let numbers: Option<Vec<usize>> =
            inside.split([',', ' ']).filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect();
        match numbers {
            Some(numbers) if !numbers.is_empty() => cited.extend(numbers),
            _ => words.push_str(&format!("[{inside}]")),
        }
        rest = beyond;
    }
    words.push_str(rest);
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = words.replace(" .", ".").replace(" ,", ",");
    let words = words.trim_start_matches(['-', '*', '•', '.', ' ']).trim();
    let words = words.strip_suffix("..").map_or_else(|| words.to_owned(), |short| format!("{short}."));
    cited.sort_unstable();
    cited.dedup();
    (words.chars().any(char::is_alphanumeric)).then_some(Drafted { text: words, cited })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Draft, Drafted};

    fn all(pieces: &[&str]) -> Vec<(String, Vec<usize>)> {
        let mut draft = Draft::default();
        let mut found: Vec<Drafted> = pieces.iter().flat_map(|piece| draft.push(piece)).collect();
        found.extend(draft.finish());
        found.into_iter().map(|one| (one.text, one.cited)).collect()
    }

    const TEXT: &str = "Metformin 7.5 mg was stopped [1]. She walks [2][3]. \n- No pain. [2, 1]\nPlain words";

    fn expected() -> Vec<(String, Vec<usize>)> {
        [
            ("Metformin 7.5 mg was stopped.", vec![1]),
            ("She walks.", vec![2, 3]),
            ("No pain.", vec![1, 2]),
            ("Plain words", vec![]),
        ]
        .map(|(text, cited)| (text.to_owned(), cited))
        .to_vec()
    }

    #[test]
    fn sentences_come_with_the_numbers_that_follow_them() {
        assert_eq!(all(&[TEXT]), expected());
    }

    #[test]
    fn a_sentence_waits_until_its_citations_are_whole() {
        let mut draft = Draft::default();
        assert!(draft.push("She walks [1").is_empty());
        assert!(draft.push("2]").is_empty());
        assert_eq!(draft.push(" Then").len(), 1);
    }

    proptest! {
        #[test]
        fn where_the_pieces_are_cut_changes_nothing(cuts in prop::collection::vec(0..TEXT.len(), 0..12)) {
            let mut cuts: Vec<usize> = cuts.into_iter().chain([0, TEXT.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &TEXT[pair[0]..pair[1]]).collect();
            prop_assert_eq!(all(&pieces), expected());
        }

        #[test]
        fn any_words_come_out_without_a_panic(pieces in prop::collection::vec("\\PC{0,20}", 0..20)) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let _ = all(&pieces);
        }
    }
}
