//! Words that tell that a name stands beside them.

/// Before a name, with a full stop or without.
pub(super) const TITLES: [&str; 16] = [
    "dr",
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "prof",
    "professor",
    "doctor",
    "nurse",
    "rev",
    "reverend",
    "sgt",
    "capt",
    "sr",
    "pastor",
];

/// Before a name, perhaps with a colon.
pub(super) const LEADING: [&str; 58] = [
    "name",
    "named",
    "called",
    "patient",
    "provider",
    "physician",
    "surgeon",
    "attending",
    "resident",
    "author",
    "signed",
    "dictated",
    "transcribed",
    "reviewed",
    "contact",
    "daughter",
    "son",
    "wife",
    "husband",
    "mother",
    "father",
    "brother",
    "sister",
    "partner",
    "spouse",
    "guardian",
    "friend",
    "niece",
    "nephew",
    "aunt",
    "uncle",
    "grandson",
    "granddaughter",
    "grandmother",
    "grandfather",
    "caregiver",
    "neighbor",
    "pharmacist",
    "therapist",
    "counselor",
    "pcp",
    "gp",
    "anesthesiologist",
    "assistant",
    "radiologist",
    "pathologist",
    "interpreter",
    "midwife",
    "dear",
    "hi",
    "hello",
    "i'm",
    "am",
    "proxy",
    "manager",
    "worker",
    "coordinator",
    "him",
];

/// After a name and a comma.
pub(super) const CREDENTIALS: [&str; 30] = [
    "MD", "DO", "RN", "NP", "PA", "PA-C", "PharmD", "PhD", "LCSW", "MSW", "LPN", "CRNA", "DDS", "DMD", "DPM", "OD",
    "PT", "DPT", "OT", "RD", "CNM", "APRN", "FNP", "MBBS", "FACS", "FACP", "MS", "BSN", "Jr", "Sr",
];

/// Between the parts of a name.
pub(super) const PARTICLES: [&str; 21] = [
    "de", "del", "della", "da", "dos", "di", "van", "von", "der", "den", "dem", "la", "le", "el", "al", "bin", "ibn",
    "ter", "y", "sur", "nad",
];

/// What places are named after, at the head of their names.
pub(super) const LANDSCAPE: [&str; 16] = [
    "Port", "Fort", "Mount", "Lake", "Saint", "San", "Santa", "North", "South", "East", "West", "Upper", "Lower",
    "Great", "Little", "Cape",
];

/// What somebody does whose name begins a sentence.
const DEEDS: [&str; 26] = [
    "called",
    "said",
    "says",
    "reports",
    "reported",
    "states",
    "stated",
    "asked",
    "asks",
    "came",
    "denies",
    "denied",
    "lives",
    "has",
    "had",
    "was",
    "is",
    "does",
    "takes",
    "told",
    "wants",
    "agrees",
    "works",
    "feels",
    "understands",
    "and",
];

pub(super) fn is_deed(word: &str) -> bool {
    DEEDS.contains(&word)
}

pub(super) fn is_article(word: &str) -> bool {
    matches!(word, "the" | "a" | "an" | "this" | "that" | "no" | "of")
}

pub(super) fn is_title(word: &str) -> bool {
    TITLES.contains(&word.to_lowercase().as_str())
}

pub(super) fn is_leading(word: &str) -> bool {
    LEADING.contains(&word.to_lowercase().as_str())
}

pub(super) fn is_credential(word: &str) -> bool {
    CREDENTIALS.contains(&word)
}

pub(super) fn is_particle(word: &str) -> bool {
    PARTICLES.contains(&word)
}
