//! Words by which a question is put: what they ask for, and of which kind of fact.

use crate::domain::{Ask, FactKind};

use super::Standing;

/// Words that say how it is put, or what any record has; they name nothing.
pub(super) const SCAFFOLD: &[&str] = &[
    "a",
    "about",
    "according",
    "all",
    "also",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "available",
    "be",
    "been",
    "can",
    "chart",
    "could",
    "currently",
    "data",
    "date",
    "dates",
    "day",
    "did",
    "do",
    "documented",
    "does",
    "done",
    "during",
    "each",
    "entries",
    "entry",
    "every",
    "file",
    "filed",
    "find",
    "for",
    "from",
    "get",
    "give",
    "given",
    "got",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "hers",
    "him",
    "his",
    "how",
    "i",
    "in",
    "is",
    "it",
    "its",
    "know",
    "known",
    "list",
    "listed",
    "many",
    "me",
    "measured",
    "mentioned",
    "most",
    "much",
    "my",
    "name",
    "noted",
    "number",
    "of",
    "on",
    "one",
    "ones",
    "or",
    "our",
    "patient",
    "please",
    "pt",
    "received",
    "record",
    "recorded",
    "records",
    "registered",
    "report",
    "reported",
    "s",
    "see",
    "she",
    "should",
    "show",
    "so",
    "some",
    "such",
    "tell",
    "than",
    "that",
    "the",
    "their",
    "them",
    "there",
    "these",
    "they",
    "this",
    "those",
    "time",
    "times",
    "to",
    "total",
    "up",
    "us",
    "was",
    "we",
    "were",
    "what",
    "whats",
    "when",
    "which",
    "whose",
    "will",
    "with",
    "would",
    "you",
    "your",
    "under",
    "getting",
    "gotten",
    "like",
    "look",
    "seen",
    "value",
    "values",
    "level",
    "levels",
    "reading",
    "readings",
    "result",
    "results",
    "measurement",
    "measurements",
    "test",
    "tests",
    "lab",
    "labs",
    "score",
    "count",
    "ever",
    "stand",
    "now",
    "right",
    "moment",
    "yet",
    "exist",
    "exists",
    "contain",
    "contains",
    "say",
    "says",
    "into",
    "undergo",
    "undergone",
    "performed",
    "underwent",
    "taken",
    "checked",
    "drawn",
    "administered",
    "put",
    "who",
    "carry",
    "carries",
    "suffer",
    "suffers",
    "suffering",
    "suffered",
    "live",
    "living",
    "today",
    "overall",
    "whole",
    "been",
    "being",
    "instead",
    "help",
    "need",
    "needs",
    "per",
    "there",
    "by",
    "not",
    "no",
    "never",
    "without",
    "don",
    "didn",
    "doesn",
    "isn",
    "wasn",
    "hasn",
    "t",
];

/// Words that ask for the newest, the next, a standing or a beginning; accounted for where they are read.
const SAID: &[&str] = &[
    "latest",
    "last",
    "recent",
    "recently",
    "newest",
    "current",
    "present",
    "presently",
    "next",
    "upcoming",
    "future",
    "trend",
    "trending",
    "trends",
    "over",
    "changed",
    "change",
    "changes",
    "changing",
    "evolved",
    "evolution",
    "developed",
    "develop",
    "course",
    "graph",
    "plot",
    "history",
    "highest",
    "maximum",
    "max",
    "peak",
    "lowest",
    "minimum",
    "min",
    "first",
    "earliest",
    "oldest",
    "start",
    "started",
    "begin",
    "began",
    "begun",
    "onset",
    "diagnosed",
    "diagnosis",
    "active",
    "ongoing",
    "taking",
    "takes",
    "take",
    "took",
    "using",
    "uses",
    "use",
    "prescribed",
    "ordered",
    "order",
    "orders",
    "stopped",
    "discontinued",
    "ended",
    "resolved",
    "inactive",
    "past",
    "previous",
    "previously",
    "prior",
    "former",
    "allergic",
    "vaccinated",
    "immunized",
    "immunised",
    "dose",
    "dosage",
    "strength",
    "long",
    "ago",
    "since",
    "often",
    "progressed",
    "progression",
    "progress",
    "over",
    "still",
    "scheduled",
    "booked",
    "planned",
    "completed",
    "cancelled",
    "canceled",
    "out",
    "quantity",
    "rise",
    "rising",
    "fall",
    "falling",
];

/// Nouns and verbs that say which kind of fact is meant.
const KINDS: &[(FactKind, &[&str])] = &[
    (
        FactKind::Medication,
        &[
            "medication",
            "medications",
            "drug",
            "drugs",
            "med",
            "meds",
            "medicine",
            "medicines",
            "prescription",
            "prescriptions",
            "pill",
            "pills",
            "tablet",
            "tablets",
            "taking",
            "takes",
            "take",
            "took",
            "prescribed",
            "prescribe",
            "dose",
            "dosage",
            "using",
        ],
    ),
    (
        FactKind::Allergy,
        &["allergy", "allergies", "allergic", "intolerance", "intolerances", "intolerant", "allergen", "allergens"],
    ),
    (
        FactKind::Condition,
        &[
            "problem",
            "problems",
            "condition",
            "conditions",
            "diagnosis",
            "diagnoses",
            "diagnosed",
            "disease",
            "diseases",
            "illness",
            "illnesses",
            "comorbidity",
            "comorbidities",
            "disorder",
            "disorders",
        ],
    ),
    (
        FactKind::Immunization,
        &[
            "immunization",
            "immunizations",
            "immunisation",
            "immunisations",
            "vaccine",
            "vaccines",
            "vaccination",
            "vaccinations",
            "shot",
            "shots",
            "jab",
            "jabs",
            "vaccinated",
            "immunized",
            "immunised",
        ],
    ),
    (FactKind::Procedure, &["procedure", "procedures", "surgery", "surgeries", "operation", "operations"]),
    (FactKind::Appointment, &["appointment", "appointments", "appt", "appts"]),
    (
        FactKind::Encounter,
        &[
            "encounter",
            "encounters",
            "visit",
            "visits",
            "admission",
            "admissions",
            "hospitalization",
            "hospitalizations",
        ],
    ),
    (FactKind::Claim, &["claim", "claims", "eob", "eobs"]),
    (FactKind::Observation, &["observation", "observations", "lab", "labs", "laboratory", "vital", "vitals"]),
    (FactKind::CarePlan, &["careplan", "careplans"]),
];

/// Words that a kind's noun takes beside it.
const BESIDE: &[&str] = &["signs", "sign", "work", "panel", "panels", "numbers", "plan", "plans"];

pub(super) fn kind_of(word: &str) -> Option<FactKind> {
    KINDS.iter().find(|(_, words)| words.contains(&word)).map(|(kind, _)| *kind)
}

/// Whether the word is accounted for by how questions are put.
pub(super) fn is_accounted_for(word: &str) -> bool {
    SCAFFOLD.contains(&word) || SAID.contains(&word) || BESIDE.contains(&word) || kind_of(word).is_some()
}

/// Whether a question begins here, by its first word.
pub(super) fn begins_a_question(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    PRESENCE.contains(&first.as_str())
        || LIST.contains(&first.as_str())
        || ["when", "how", "why", "who"].contains(&first.as_str())
}

/// Every word that a question may be put with, for correcting spelling.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    let kinds = KINDS.iter().flat_map(|(_, words)| words.iter());
    SCAFFOLD.iter().chain(SAID).chain(BESIDE).chain(kinds).copied()
}

/// Words and phrases as they stand, for looking up.
pub(super) struct Said<'a> {
    words: &'a [String],
    /// With a space on both sides.
    line: String,
}

impl<'a> Said<'a> {
    pub fn new(words: &'a [String]) -> Self {
        Self { words, line: format!(" {} ", words.join(" ")) }
    }

    fn any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.line.contains(&format!(" {phrase} ")))
    }

    fn begins(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.line.starts_with(&format!(" {phrase} ")))
    }

    /// What is asked for. `measured` tells that a measurement is named.
    pub fn ask(&self, measured: bool) -> Ask {
        if self.any(&["why", "reason", "reasons", "how come", "cause", "caused", "explain"]) {
            return Ask::Why;
        }
        let outcome = ["show", "showed", "find", "found", "reveal", "revealed", "say", "said", "conclude", "mean"];
        if self.begins(&["what did", "what does"]) && self.any(&outcome) {
            return Ask::Other;
        }
        if self.any(&["how many", "number of", "count of", "how often", "total number", "count the"]) {
            return Ask::Count;
        }
        if measured && self.any(&["highest", "maximum", "max", "peak"]) {
            return Ask::Highest;
        }
        if measured && self.any(&["lowest", "minimum", "min", "nadir"]) {
            return Ask::Lowest;
        }
        if self.any(&["next", "upcoming", "future"]) {
            return Ask::Next;
        }
        if self.asks_when() {
            let first = ["first", "diagnosed", "start", "started", "begin", "began", "begun", "onset", "earliest"];
            return if self.any(&first) && !self.newest() { Ask::WhenFirst } else { Ask::WhenLast };
        }
        if measured && self.any(&TREND) {
            return Ask::Trend;
        }
        if measured && self.newest() {
            return Ask::Latest;
        }
        if self.begins(&PRESENCE) || self.any(&["is there", "are there"]) {
            return Ask::Presence;
        }
        if self.newest() && !self.plural() {
            return Ask::Latest;
        }
        if measured && self.begins(&["list", "show", "all"]) {
            return Ask::Trend;
        }
        let singular = self.begins(&["what is", "what was", "what s", "whats"]);
        if singular && !measured && !self.words.iter().any(|word| kind_of(word).is_some()) {
            return Ask::Latest;
        }
        if self.begins(&LIST) || self.plural() {
            return if measured { Ask::Latest } else { Ask::List };
        }
        if measured { Ask::Latest } else { Ask::Other }
    }

    fn asks_when(&self) -> bool {
        let phrases =
            ["what date", "what day", "which date", "which day", "since when", "how long ago", "date of", "what year"];
        self.begins(&["when"]) || self.any(&phrases) || self.any(&["when was", "when did", "when is", "when were"])
    }

    fn newest(&self) -> bool {
        self.any(&["latest", "last", "recent", "newest", "current", "currently", "now", "present", "recently"])
    }

    fn plural(&self) -> bool {
        self.words.iter().any(|word| word.ends_with('s') && kind_of(word).is_some() && !VERBS.contains(&word.as_str()))
    }

    /// `negated` questions with a standing ask for the other one: `no longer taking` is over.
    pub fn standing(&self) -> Standing {
        if self.any(&["stopped", "discontinued", "ended", "resolved", "inactive", "former", "no longer", "completed"]) {
            return Standing::Over;
        }
        if self.any(&["ever", "history", "past", "previous", "previously", "prior"]) {
            return Standing::Ever;
        }
        let active =
            ["active", "current", "currently", "ongoing", "taking", "takes", "still", "now", "using", "present"];
        let is_on = self.begins(&["is", "are"]) && self.any(&["on"]);
        let what_on = self.any(&["is on", "on now", "he on", "she on", "patient on", "they on"]);
        if self.any(&active) || is_on || what_on { Standing::Active } else { Standing::Unsaid }
    }

    pub fn negated(&self) -> bool {
        self.any(&["not", "never", "without", "no", "isn t", "doesn t", "hasn t", "wasn t", "didn t"])
    }

    pub fn vitals(&self) -> bool {
        self.any(&["vitals", "vital signs", "vital"])
    }

    /// Asks for a stopping rather than a taking; what a fact holds is when it was ordered.
    pub fn asks_for_the_end(&self) -> bool {
        self.asks_when() && (self.standing() == Standing::Over || self.any(&["stop", "quit", "end", "cancelled"]))
    }

    /// Whether words for taking a medicine stand beside `on`: `is she on`, `put on`.
    pub fn taken(&self) -> bool {
        self.any(&["on", "taking", "takes", "take", "took", "prescribed", "using", "uses"])
    }
}

const TREND: [&str; 22] = [
    "trend",
    "trending",
    "trends",
    "over time",
    "changed",
    "change",
    "changes",
    "changing",
    "evolved",
    "evolution",
    "history",
    "course",
    "graph",
    "plot",
    "developed",
    "progressed",
    "progression",
    "values",
    "readings",
    "results",
    "measurements",
    "all",
];
const PRESENCE: [&str; 18] = [
    "is", "are", "was", "were", "does", "do", "did", "has", "have", "had", "any", "isn t", "doesn t", "hasn t",
    "wasn t", "didn t", "ever", "can",
];
const LIST: [&str; 10] = ["list", "show", "what", "which", "name", "give", "tell", "summarize", "all", "whats"];
const VERBS: [&str; 3] = ["takes", "uses", "diagnosis"];
