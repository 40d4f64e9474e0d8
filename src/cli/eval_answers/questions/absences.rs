//! Questions for what stands nowhere in the record.

use jiff::ToSpan;

use super::{Chart, Expected, Judged};

impl Chart {
    /// Things that stand nowhere in the record.
    pub(super) fn absences(&self) -> Vec<Judged> {
        const ABSENT: [(&str, &str); 44] = [
            ("uric acid", "What is the latest uric acid?"),
            ("lithium", "What is the latest lithium level?"),
            ("digoxin", "Is the patient on digoxin?"),
            ("lactate", "What was the most recent lactate?"),
            ("psa", "What is the patient's last PSA?"),
            ("magnesium", "How has the magnesium changed over time?"),
            ("lipase", "What was the highest lipase?"),
            ("phosph", "What is the latest phosphate?"),
            ("prothrombin", "What was the last prothrombin time?"),
            ("d-dimer", "What was the D-dimer?"),
            ("troponin", "What is the latest troponin?"),
            ("ferritin", "What is the current ferritin?"),
            ("inr", "What is the latest INR?"),
            ("bnp", "What is the most recent BNP?"),
            ("vitamin b12", "What is the latest vitamin B12?"),
            ("amiodarone", "Is the patient taking amiodarone?"),
            ("clozapine", "Is the patient on clozapine?"),
            ("infliximab", "When was infliximab started?"),
            ("insulin", "Which insulin does the patient use?"),
            ("warfarin", "What dose of warfarin does the patient take?"),
            ("phenytoin", "Is the patient taking phenytoin?"),
            ("tacrolimus", "Is the patient on tacrolimus?"),
            ("sertraline", "Why was sertraline stopped?"),
            ("lupus", "Does the patient have lupus?"),
            ("crohn", "Does the patient have Crohn's disease?"),
            ("multiple sclerosis", "Does the patient have multiple sclerosis?"),
            ("gout", "When was gout diagnosed?"),
            ("glaucoma", "Does the patient have glaucoma?"),
            ("cystic fibrosis", "Does the patient have cystic fibrosis?"),
            ("sarcoidosis", "When was sarcoidosis diagnosed?"),
            ("tonsillectomy", "When was the tonsillectomy?"),
            ("hip replacement", "Has the patient had a hip replacement?"),
            ("bypass", "When was the coronary bypass surgery?"),
            ("hysterectomy", "When was the hysterectomy performed?"),
            ("yellow fever", "When was the last yellow fever vaccine given?"),
            ("rabies", "How many rabies vaccinations are on record?"),
            ("typhoid", "When was the last typhoid vaccine given?"),
            ("shellfish", "Is the patient allergic to shellfish?"),
            ("vancomycin", "Is the patient allergic to vancomycin?"),
            ("pacemaker", "Which pacemaker model was implanted?"),
            ("colonoscopy", "What did the colonoscopy find?"),
            ("mri", "What did the brain MRI show?"),
            ("bone density", "What is the bone density T-score?"),
            ("blood group", "What is the blood group?"),
        ];
        let absent = ABSENT.iter().filter(|(word, _)| !self.holds(word));
        absent.map(|(_, question)| self.ask("unanswerable", (*question).to_owned(), Expected::Nothing)).collect()
    }

    /// A day that the record doesn't name, soon after one that it does.
    pub(super) fn day_without(&self, day: &str) -> Option<String> {
        let day: jiff::civil::Date = day.parse().ok()?;
        let later = (9..60).filter_map(|days| day.checked_add(days.days()).ok()).map(|day| day.to_string());
        later.into_iter().find(|day| !self.everything.contains(day))
    }

    /// As a word's beginning.
    fn holds(&self, word: &str) -> bool {
        let begins = |at: usize| !self.everything[..at].ends_with(|c: char| c.is_alphanumeric());
        self.everything.match_indices(word).any(|(at, _)| begins(at))
    }
}
