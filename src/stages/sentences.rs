//! Finds the sentences of clinical text, as byte spans.
//!
//! Two steps: lines that belong together become one passage (`lines`), and each passage is cut
//! at the stops that really end a sentence (`stops`). Notes mix prose that was wrapped by hand
//! with lists, headings and result lines, so a line break alone says little.

mod lines;
mod stops;

use crate::domain::Span;

/// The sentences of `text` within a span: trimmed, in order, and together all that isn't white space.
///
/// A span that doesn't lie on char boundaries within `text` has none.
pub fn sentences(text: &str, within: Span) -> Vec<Span> {
    Splitter::new(text).within(within)
}

/// Splits many parts of one text, having looked once at how its lines are wrapped.
///
/// Whether lines were wrapped is judged over the whole text, so a part falls into the same
/// sentences whatever else is asked for with it.
pub struct Splitter<'text> {
    text: &'text str,
    wrap: Option<usize>,
}

impl<'text> Splitter<'text> {
    pub fn new(text: &'text str) -> Self {
        Self { text, wrap: lines::wrap_width(text) }
    }

    pub fn within(&self, span: Span) -> Vec<Span> {
        let mut found = Vec::new();
        for passage in lines::passages(self.text, span, self.wrap) {
            stops::split(self.text, passage, &mut found);
        }
        found
    }
}

/// The span without the white space at its ends, or `None` when nothing else is in it.
pub(crate) fn trimmed(text: &str, span: Span) -> Option<Span> {
    let inner = span.of(text)?;
    let start = span.start + (inner.len() - inner.trim_start().len());
    let end = start + inner.trim().len();
    (start < end).then_some(Span::new(start, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text, Span::new(0, text.len())).into_iter().filter_map(|span| span.of(text)).collect()
    }

    /// Text in which `|` marks every place where a sentence ends.
    fn assert_split(marked: &str) {
        let expected: Vec<&str> = marked.split('|').map(str::trim).collect();
        assert_eq!(split(&marked.replace('|', "")), expected);
    }

    #[test]
    fn prose_is_cut_at_its_stops() {
        assert_split(
            "The patient is stable.| Was there any pain?| None! | Discharged \"home today.\"| (Seen again.)| End",
        );
    }

    #[test]
    fn abbreviations_end_no_sentence() {
        for marked in [
            "Seen by Dr. Vega and Mrs. Orr at St. Anne.| No complaints.",
            "Some drugs, e.g. Lisinopril, i.e. ACE inhibitors, were held vs. Placebo.| Done.",
            "Lost approx. 5 kg, see Fig. 2 and No. 4.| He ate well.",
            "Any allergies?| No.| He takes i.v. Cefazolin 1 g.| Later p.o. Amoxicillin.",
            "Smith et al. (2019) agree.| Diet, exercise, etc.| The rest waits.",
            "Aspirin 81 mg b.i.d. 30 tablets.| Metformin b.i.d.| The plan holds until 4 p.m.| Then rest.",
            "Signed by Ana Ruiz, M.D. Cardiology.| She moved to the U.S. Department.",
        ] {
            assert_split(marked);
        }
    }

    #[test]
    fn numbers_initials_and_letters_are_told_apart() {
        assert_split("Hemoglobin A1c was 6.8 percent.| Sodium 140.| Age is 54.| C. Difficile was absent.");
        assert_split("Referred by J. K. Orr.| Immune to hepatitis B.| He takes vitamin D.| All well.");
    }

    #[test]
    fn numbered_entries_begin_sentences() {
        assert_split("1. Hypertension.| 2. Type 2 diabetes.| 3. Gout");
        assert_split("Plan:\n|1. Stop aspirin\n|2) Start apixaban\n|(3) Call on day 5\n|a) Or later");
    }

    #[test]
    fn a_missing_space_after_the_stop_still_ends_a_sentence() {
        assert_split("Lungs are clear.|Heart is regular.| Mail to desk@clinic.Example and v1.Two.");
    }

    #[test]
    fn a_symbol_in_small_letters_may_begin_a_sentence() {
        assert_split(
            "The marker was raised.| p53 was found.| A pH was taken at approx. pH 7, b.i.d. x3 days, until Aug. 31.",
        );
    }

    #[test]
    fn a_question_mark_for_suspicion_ends_nothing() {
        assert_split("Chest pain, ? PE ruled out.| Send home");
    }

    #[test]
    fn headings_lists_and_results_end_with_their_line() {
        assert_split("MEDICATIONS:\n|- aspirin 81 mg\n|- metformin 500 mg\n\n|# Plan\n|Return in May");
        assert_split("HISTORY\n|no known problems of note\n|Sodium: 140 mmol/L\n|status: final\n|Potassium 4.1");
        assert_split("amoxicillin 500 mg oral tablet\n|acetaminophen 160 mg chewable tablet");
    }

    #[test]
    fn wrapped_prose_reads_on() {
        assert_split(
            "INDICATIONS: The man has had approximately eight days of redness over\nhis knee.| He was seen by \
             Dr.\nVega and was given one dose of\nRocephin.| It did not help him at all, and so a further\n\
             procedure was planned for the morning.",
        );
    }

    #[test]
    fn wrapped_prose_reads_on_before_a_capital_when_its_line_is_full() {
        assert_split(
            "The chest, the abdomen and both sides of the neck were seen and examined\n\
             again by the team of the day, which then called the Surgery Department\n\
             Orthopedics to look at the knee of the patient, and they too were pleased\n\
             with what they saw.",
        );
    }

    #[test]
    fn a_short_line_that_is_left_open_reads_on() {
        assert_split("Alex\n is a one year old boy.| Seen with\nBetadine");
    }

    #[test]
    fn a_part_falls_into_the_sentences_of_the_whole() {
        let text = "One here. Two here.\nThree here.";
        assert_eq!(sentences(text, Span::new(10, text.len())), sentences(text, Span::new(0, text.len()))[1..]);
    }

    #[test]
    fn a_span_off_the_text_holds_nothing() {
        for span in [Span::new(0, 9), Span::new(1, 2), Span::new(3, 1)] {
            assert_eq!(sentences("é.", span), []);
        }
    }

    /// Text dense in what the splitter decides on.
    fn clinical_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(". "),
            Just(".\n"),
            Just("\n"),
            Just("\n\n"),
            Just("? "),
            Just("Dr. "),
            Just("i.v. "),
            Just("1. "),
            Just("- "),
            Just("6.8"),
            Just("A. "),
            Just(": "),
            Just("é "),
            Just("。"),
            Just("\u{a0}"),
            Just(")\" "),
            Just("..."),
            Just("HEAD"),
            Just("patient "),
            Just("The "),
            Just("\t"),
            Just("\r\n"),
            Just("🩺"),
            Just("and"),
        ];
        prop_oneof![prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat()), ".{0,200}", "(?s).{0,80}"]
    }

    proptest! {
        #[test]
        fn every_visible_character_lies_in_exactly_one_sentence(text in clinical_text()) {
            let found = sentences(&text, Span::new(0, text.len()));
            let mut from = 0;
            for span in found {
                prop_assert!(span.start >= from);
                prop_assert!(text[from..span.start].trim().is_empty());
                let inside = span.of(&text).expect("on char boundaries");
                prop_assert!(!inside.is_empty() && inside.trim() == inside);
                from = span.end;
            }
            prop_assert!(text[from..].trim().is_empty());
        }

        #[test]
        fn any_span_is_borne(text in clinical_text(), start in 0usize..300, end in 0usize..300) {
            for span in sentences(&text, Span::new(start, end)) {
                prop_assert!(start <= span.start && span.end <= end);
            }
        }
    }
}
