//! What of places is smaller than a state: streets, cities, facilities, postal codes.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::numbers::rule;
use super::tokens::{Case, Token, tokens};
use super::vocabulary::{STATES, is_acronym, is_city, is_given, is_of_calendar, is_plain, is_region, is_surname};
use super::{Category, Findings, Subject};

/// The first three digits of postal codes whose areas have 20,000 people or fewer (census of 2000, as the guidance of
/// the HHS lists them).
const SMALL_AREAS: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884", "890",
    "893",
];

const STREET: &str = r"(?:street|str|st|avenue|ave|av|road|rd|lane|ln|drive|dr|boulevard|blvd|row|court|ct|way|place|pl|terrace|ter|circle|cir|parkway|pkwy|highway|hwy|square|sq|squares|trail|trl|alley|plaza|crescent|close|loop|path|pike|ridge|turnpike|gate|union|burg|grove|hill|heights|manor|mews|point|run|walk|cove|coves|parade|gardens|green|quay|wharf|vista|creek|crossing|crest|glen|hollow|junction|landing|meadows|orchard|passage|ranch|shores|springs|trace|yard|esplanade|bypass|expressway|freeway|motorway|bend|bluff|brook|dale)";
/// Further words that streets are called after (USPS publication 28, C1), which say so only beside a name: `7 Cox View`.
const UNUSUAL: &str = r"(?:annex|arcade|bayou|beach|branch|bridge|burgs?|camp|canyon|cape|causeway|centers?|cliffs?|club|common|commons|corners?|course|crescent|crossroads?|curve|dam|dale|divide|drives?|estates?|extensions?|falls?|ferry|fields?|flats?|fords?|forest|forges?|forks?|fort|gateway|glens?|harbors?|haven|inlet|islands?|isle|keys?|knolls?|lakes?|lights?|locks?|lodge|lookout|mall|manors?|mills?|mission|motorway|mount|mountains?|neck|oval|overpass|park|parks|parkways|pass|pines?|plains?|plaza|ports?|prairie|radial|ramp|rapids?|rest|ridges?|river|roads?|route|shoals?|skyway|spurs?|station|stravenue|stream|streets?|summit|throughway|track|trafficway|tunnel|underpass|unions?|valleys?|viaduct|views?|villages?|ville|walks?|wall|ways?|wells?)";
/// What comes before the name of a street in other languages.
const FOREIGN: &str = r"(?:rua|rúa|rue|via|viale|vicolo|corso|piazza|piazzale|borgo|contrada|strada|calle|callejón|camino|carrer|avenida|ronda|paseo|pasaje|glorieta|plaza|urbanización|alameda|praça|largo|travessa|pátio|recanto|residencial|rodovia|esplanada|estação|estrada|favela|fazenda|jardim|ladeira|loteamento|parque|praia|viela|condomínio|chácara|chemin|impasse|boulevard|avenue|allée|quai|ulica|ul\.|aleja|plac|pl\.|osiedle|bulevar|bulevard|u\.)";
/// With a number of its own: `4411 Highway 61`.
const NUMBERED_ROAD: &str =
    r"(?:(?:county|state|us|old|rural)\s+)?(?:highway|hwy|road|rd|route|rte|interstate|farm road)\s+\d{1,4}[a-z]?";
/// What the names of streets end with where they are one word with it: `Kirchstraße`, `Vesterbrogade`.
const ENDINGS: &str = "strasse|straße|str\\.|gasse|platz|allee|damm|ufer|gade|gata|gatan|gate|vej|veg|vegen|väg|vägen|weg|\
    tie|katu|utca|straat|gracht|kade|singel|laan|plein|stræde|stræti|stigen|straeti|stien|út|útja|tér|körút|sétány|boulevard|bulevardi|\
    kuja|polku|raitti|jordet|svingen|tunet|bakken|skogen|haugen|gränd|allén|torget|vænget|torv|plads|steeg|dreef|dijk";

/// What only an address has.
static ANCHORS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    vec![
        rule(&format!(
            r"(?i)\b\d{{1,6}}(?:/\d{{1,4}})?[a-z]?\s+(?:[NSEW]\.?\s+|(?:north|south|east|west)\s+)?(?:[\p{{L}}\d'’.-]+\s+){{1,4}}{STREET}\b\.?"
        )),
        rule(&format!(r"(?i)\b\d{{1,6}}[a-z]?\s+{NUMBERED_ROAD}\b")),
        rule(
            r"(?i)\b(?:apt|apartment|flat|suite|ste|unit|p\.?\s?o\.?\s?box|box|psc|rr|floor|room|bldg|building)\b\.?\s*#?\s*\d+[a-z]?\b",
        ),
        rule(r"(?i)\b(?:apo|fpo|dpo)\s+(?:aa|ae|ap)\s+\d{5}\b"),
        rule(r"\bUS(?:S|NS|NV|CGC)\s+\p{Lu}\p{L}+\s+(?:APO|FPO|DPO)\s+A[AEP]\s+\d{5}\b"),
        rule(&format!(
            r"\b(?:\p{{Lu}}(?:[\p{{L}}'’-]+|\.)\s+){{0,2}}(?i:[\p{{L}}-]*(?:{ENDINGS}))\.?\s+\d{{1,5}}[a-z]?\b"
        )),
    ]
});
/// What can't be meant otherwise, whatever its words.
static UNMISTAKABLE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    vec![
        rule(&format!(
            r"(?i)\bcorner of\s+(?:[\p{{L}}\d][\p{{L}}\d'’.-]*\s+){{1,5}}?(?:and|&)\s+[\p{{L}}\d][\p{{L}}\d'’.-]*(?:\s+(?-i:[\p{{Lu}}\d])[\p{{L}}\d'’.-]*|\s+{STREET}\b){{0,3}}"
        )),
        rule(&format!(
            r"(?i)\b\d{{1,5}}[a-z]?,?\s+{FOREIGN}\s+[^\d\n,;.]{{2,40}}|\b{FOREIGN}\s+[^\d\n,;]{{2,40}}?,?\s?\d{{1,5}}[a-z]?\b|\b\p{{L}}+\s+(?:u\.|ulica|put|trg|cesta)\s+\d{{1,4}}[a-z]?\b"
        )),
    ]
});
/// `7 Cox View`: an address where a word before the last is somebody's name, or no word.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    rule(&format!(r"\b\d{{1,6}}(?:/\d{{1,4}})?[a-z]?\s+((?:\p{{Lu}}[\p{{L}}'’.-]+\s+){{1,3}})(?i:{UNUSUAL})\b"))
});
/// `6750 Koskikatu 25`: an address where its words are no words.
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"\b\d{1,6}\s+\p{Lu}[\p{L}.'’-]+(?:\s+(?:\p{Lu}[\p{L}.'’-]*|d[aeo]s?|l[ae]|del|du|van|von|der|den)){0,4}\s+\d{1,5}\b",
    )
});
/// What follows the street.
static FLAT: LazyLock<Regex> = LazyLock::new(|| rule(r"(?i)^[\s,|>]*(?:apt|apartment|suite|ste|unit)\b\.?\s*#?\s*\d"));
/// After it an address follows, whatever its form.
static CUES: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"(?i)\b(?:address(?:\s+(?:is|with|to|on file|of))?|lives (?:at|on)|living (?:at|on)|resid(?:es|ing) (?:at|on)|resident of|located (?:at|on|in)|moved to|home is (?:at|on)|sen[dt] (?:it )?to|deliver(?:ed)? to|mail(?:ed)? to|meet (?:me |you |us )?at|return to|is (?:at|on)|at)(?:\s+(?:is|the following))?[\s:?]+",
    )
});
static ZIP: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"(?i)\b(?:zip|postal|post)(?:\s?code)?(?:\s+(?:is|of|no))?[\s:#]+((?:[a-z]{1,2}-)?\d{4,5}(?:-\d{3,4})?|\d{3} \d{2}|\d{4} ?[a-z]{2}|[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2}|[a-z]{0,2}\d[a-z\d]{1,4}(?:[ -]\d[a-z\d]{2,3})?)\b",
    )
});
static STATE_ZIP: LazyLock<Regex> =
    LazyLock::new(|| rule(r"\b((?:\p{Lu}\p{L}+ ){0,3}\p{L}{2,})[,.]?\s+(\d{5}(?:-\d{4})?)\b"));
static PLUS_FOUR: LazyLock<Regex> = LazyLock::new(|| rule(r"\b\d{5}-\d{4}\b"));
static FACILITY: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"\b((?:\p{Lu}[\p{L}'’.-]+\s+(?:of\s+|and\s+|&\s+)?){1,4})(?:Hospital|Medical Center|Medical Centre|Health Center|University|College|High School|Elementary|Middle School|Pharmacy|Nursing Home|Church|Parish|Rehabilitation Center|Hospice|Country Club|Golf Club)\b",
    )
});
/// Where somebody lives, by its name: `lives at Alder Court`.
static HOME: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"\b(?:at|in|from|to|of|the|The)\s+((?:\p{Lu}[\p{L}'’-]+\s+){1,3}(?:Court|Manor|House|Lodge|Gardens|Village|Heights|Park|Mill|Mills|Estates?|Commons|Terrace|Towers?|Square))\b",
    )
});
/// Where somebody is or goes, by what such places are called after: `near Pines Beach`, `from PORT O' WARREN`.
static SETTLEMENT: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"\b(?:in|In|from|From|near|Near|to|visit|visiting|outside|towards|of)\s+((?:\p{Lu}[\p{L}'’.-]*\s+){1,3}(?i:beach|town|bay|falls|springs|hills?|valley|lakes?|grove|creek|islands?|point|harbou?r|mountains?|rocks?|ridge|river|cove|landing|junction|crossing|flats?|ferry|bridge|haven|shores?|woods?|meadows?|city)|(?i:port|fort|mount|lake|cape|saint|san|santa|upper|lower|great|little)\s+(?:\p{Lu}['’]?\s?)?\p{Lu}[\p{L}'’-]+)\b",
    )
});
/// Where somebody is from: what follows is a place, whatever word it is.
static ORIGIN: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"\b(?i:grew up in|raised in|born in|originally from|native of|hails? from|comes? from|home ?town(?: is)?)\s+(\p{Lu}[\p{L}\p{Sm}'’.-]*(?:\s(?:\p{Lu}[\p{L}\p{Sm}'’-]*|de|la|las|los|del|du|an|am|der|of|the|upon)){0,4})",
    )
});
/// `Cousin-sur-Martin`, `Weston-upon-Trent`.
static CHAIN: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"\b\p{Lu}[\p{L}'’]+(?:-(?:sur|sous|les|lès|lez|en|de|du|des|la|le|aux|am|an|der|im|upon|on|in|the|by|next|under))+-\p{Lu}[\p{L}'’]{2,}\b",
    )
});
static COUNTY: LazyLock<Regex> =
    LazyLock::new(|| rule(r"\b((?:\p{Lu}[\p{L}'’-]+\s+){1,3})(?:County|Parish|Township|Borough|Village)\b"));
/// Before a city by itself.
const TOWARDS: [&str; 14] = [
    "in", "from", "near", "to", "at", "visit", "visiting", "town", "city", "outside", "of", "through", "around", "via",
];
/// Words of a facility's name that many facilities share.
const GENERAL: [&str; 42] = [
    "general",
    "regional",
    "community",
    "memorial",
    "medical",
    "the",
    "university",
    "state",
    "county",
    "city",
    "children's",
    "children",
    "women's",
    "veterans",
    "emergency",
    "outpatient",
    "inpatient",
    "day",
    "teaching",
    "psychiatric",
    "rehabilitation",
    "specialty",
    "specialist",
    "mail",
    "order",
    "retail",
    "central",
    "local",
    "our",
    "this",
    "district",
    "public",
    "private",
    "acute",
    "care",
    "cancer",
    "heart",
    "orthopedic",
    "surgical",
    "discharge",
    "preferred",
    "junior",
];

pub(super) fn find(findings: &mut Findings<'_>, subject: &Subject) {
    find_zips(findings);
    let words = tokens(findings.text);
    find_addresses(findings, subject, &words);
    find_named(findings, subject);
    find_cities(findings, subject, &words);
}

fn take(findings: &mut Findings<'_>, start: usize, end: usize, subject: &Subject) {
    let mark = subject.mark(Category::Place, &findings.text[start..end]);
    findings.take(start, end, Category::Place, &mark);
}

fn find_zips(findings: &mut Findings<'_>) {
    let text = findings.text;
    let after_word = ZIP.captures_iter(text).filter_map(|captures| captures.get(1));
    let after_state = STATE_ZIP.captures_iter(text).filter_map(|captures| {
        let state = captures.get(1)?.as_str();
        let ends = |at: usize| state.get(at..).filter(|end| end.starts_with(char::is_uppercase));
        let starts = std::iter::once(0).chain(state.match_indices(' ').map(|(at, _)| at + 1));
        starts.filter_map(ends).any(is_region).then(|| captures.get(2))?
    });
    let found: Vec<_> = after_word.chain(after_state).chain(PLUS_FOUR.find_iter(text)).collect();
    for zip in found {
        let mark = zip_mark(zip.as_str());
        findings.take(zip.start(), zip.end(), Category::Place, &mark);
    }
}

/// What the rule leaves of a postal code; of those of other countries, nothing.
fn zip_mark(zip: &str) -> String {
    let is_american = matches!(zip.len(), 5 | 10) && zip.bytes().take(5).all(|byte| byte.is_ascii_digit());
    match zip.get(..3).filter(|_| is_american) {
        Some(area) if !SMALL_AREAS.contains(&area) => format!("[ZIP {area}]"),
        _ => "[ZIP 000]".to_owned(),
    }
}

/// From what only an address has, as far to both sides as its parts follow each other.
fn find_addresses(findings: &mut Findings<'_>, subject: &Subject, words: &[Token<'_>]) {
    let text = findings.text;
    let mut found: BTreeSet<(usize, usize)> = BTreeSet::new();
    for anchor in ANCHORS.iter() {
        for place in anchor.find_iter(text) {
            if place.as_str().contains(|c: char| c.is_ascii_digit()) && !is_everyday(place.as_str()) {
                found.insert((leftwards(text, place.start(), words), rightwards(text, place.end(), words)));
            }
        }
    }
    let names = |word: &Token<'_>| word.case != Case::Mixed && word.word.len() > 2 && !is_plain(word.word);
    let told = |word: &Token<'_>| {
        names(word) && !is_acronym(word.word)
            || word.case == Case::Capitalized && (is_surname(word.word) || is_given(word.word))
    };
    for place in UNMISTAKABLE.iter().flat_map(|rule| rule.find_iter(text)) {
        if tokens(place.as_str()).iter().any(told) {
            found.insert((leftwards(text, place.start(), words), rightwards(text, place.end(), words)));
        }
    }
    for place in NAMED.captures_iter(text) {
        let (whole, name) =
            (place.get(0).expect("the whole match"), place.get(1).expect("a group that always matches"));
        if tokens(name.as_str()).iter().any(told) {
            found.insert((leftwards(text, whole.start(), words), rightwards(text, whole.end(), words)));
        }
    }
    for place in NUMBERED.find_iter(text) {
        if tokens(place.as_str()).iter().any(names) || FLAT.is_match(&text[place.end()..]) {
            found.insert((leftwards(text, place.start(), words), rightwards(text, place.end(), words)));
        }
    }
    for cue in CUES.find_iter(text) {
        let end = rightwards(text, cue.end(), words);
        let said = text.get(cue.end()..end).unwrap_or_default();
        if said.contains(|c: char| c.is_ascii_digit()) && !said.contains(":") && tokens(said).iter().any(names) {
            found.insert((cue.end(), end));
        }
    }
    for (start, end) in found {
        take(findings, start, end, subject);
    }
}

/// `3 units in place`, `room 4`: the words of an address in other use.
fn is_everyday(place: &str) -> bool {
    let lower = place.to_lowercase();
    let is_room = ["unit", "room", "floor", "box", "building"].iter().any(|word| lower.starts_with(word));
    let names_a_street = tokens(place).iter().any(|token| token.case != Case::Lower);
    let digits = lower.bytes().filter(u8::is_ascii_digit).count();
    let ends_low = !place.ends_with(|c: char| c.is_ascii_digit())
        && tokens(place).last().is_some_and(|last| last.case == Case::Lower && is_street_word(last.word));
    is_room && digits < 3
        || names_a_street && ends_low && !is_room
        || !(is_room || names_a_street) && tokens(place).iter().all(|token| is_plain(token.word))
}

/// Whether a piece between blanks may be part of an address.
fn is_part(piece: &str, words: &[Token<'_>], start: usize) -> bool {
    const JOINTS: [&str; 23] = [
        "de", "do", "da", "dos", "du", "la", "le", "del", "van", "von", "der", "den", "of", "and", "nan", "the", "u",
        "str", "st", "apt", "flat", "suite", "box",
    ];
    let bare = piece.trim_matches(|c: char| !c.is_alphanumeric());
    if bare.is_empty() {
        return piece.chars().all(|c| matches!(c, ',' | '>' | '#' | '-' | '.' | '(' | ')'));
    }
    let lower = bare.to_lowercase();
    if bare.contains(|c: char| c.is_ascii_digit()) || JOINTS.contains(&lower.as_str()) {
        return true;
    }
    let token = words.iter().find(|token| token.start >= start && token.start < start + piece.len());
    token.is_some_and(|token| match token.case {
        Case::Lower => !is_plain(token.word),
        Case::Upper | Case::Initial if bare.len() < 3 => true,
        _ => !is_plain(token.word) || is_region(bare) || is_city(bare) || !token.begins || is_street_word(&lower),
    })
}

fn is_street_word(word: &str) -> bool {
    static WORD: LazyLock<Regex> = LazyLock::new(|| rule(&format!(r"^(?i:{STREET})$")));
    WORD.is_match(word)
}

/// Whether this begins a line as short as a city, and the next has a number or a region: `LONDON`, `United Kingdom 75419`.
fn is_line_of_address(text: &str, at: usize) -> bool {
    let mut lines = text[at..].lines();
    let is_begun = text[..at].trim_end_matches(['>', ' ']).ends_with('\n');
    let line = lines.next().unwrap_or_default();
    let next = lines.next().unwrap_or_default().trim_matches(['>', ' ', ',']);
    let is_short = line.split_whitespace().count() < 4 && !line.contains([':', '.']);
    let is_written_so = line.trim_matches(['>', ' ', ',']).starts_with(char::is_uppercase);
    let leads_on = next.len() < 40 && (next.contains(|c: char| c.is_ascii_digit()) || is_region(next));
    is_begun && is_short && is_written_so && leads_on
}

const MOST_PIECES: usize = 18;

fn rightwards(text: &str, from: usize, words: &[Token<'_>]) -> usize {
    let mut end = from;
    let mut breaks = 0;
    let mut at = from;
    for piece in text[from..].split_inclusive([' ', '\n', ',']).take(MOST_PIECES) {
        let bare = piece.trim();
        if !bare.is_empty() && !is_part(bare, words, at) && !is_line_of_address(text, at) {
            break;
        }
        at += piece.len();
        if !bare.trim_matches(|c: char| !c.is_alphanumeric()).is_empty() {
            end = at - (piece.len() - piece.trim_end().len());
        }
        let ends_sentence = bare.ends_with(['?', '!', ';']) || bare.ends_with('.') && bare.len() > 4;
        breaks += usize::from(piece.ends_with('\n'));
        let after = text[at..].chars().next();
        if ends_sentence || breaks > 4 || after == Some('\n') && piece.ends_with('\n') {
            break;
        }
    }
    end
}

fn leftwards(text: &str, to: usize, words: &[Token<'_>]) -> usize {
    let line = text[..to].rfind('\n').map_or(0, |at| at + 1);
    if line > 0 && text[line..to].trim_matches(['>', ' ']).is_empty() {
        // `228 Ringvej 144` on the line before `Apt. 902`.
        let before = text[..line - 1].rfind('\n').map_or(0, |at| at + 1);
        let street = text[before..line].trim_start_matches(['>', ' ']);
        if street.starts_with(|c: char| c.is_ascii_digit()) && street.contains(char::is_alphabetic) && street.len() < 60
        {
            return line - street.len();
        }
    }
    let mut start = to;
    let mut at = to;
    for piece in text[..to].split_inclusive([' ', '\n', ',']).rev().take(5) {
        let begin = at - piece.len();
        let bare = piece.trim_matches([' ', '\n', ',']);
        let has_digit = bare.contains(|c: char| c.is_ascii_digit());
        let ends = bare.ends_with(['.', ':', '?', '!', ';', '|']);
        let is_street = !bare.is_empty() && is_part(bare, words, begin) && bare.len() > 1 && !is_region(bare);
        if piece.ends_with('\n') || ends && !bare.ends_with("t.") || !(has_digit || is_street) {
            break;
        }
        start = begin;
        at = begin;
    }
    // Names before an address are found as names: only what a number begins is the address's.
    let left = &text[start..to];
    left.find(|c: char| c.is_ascii_digit()).map_or(to, |digit| start + digit)
}

fn find_named(findings: &mut Findings<'_>, subject: &Subject) {
    let text = findings.text;
    for home in HOME.captures_iter(text) {
        let name = home.get(1).expect("a group that always matches");
        take(findings, name.start(), name.end(), subject);
    }
    for chain in CHAIN.find_iter(text) {
        take(findings, chain.start(), chain.end(), subject);
    }
    for settlement in SETTLEMENT.captures_iter(text) {
        let name = settlement.get(1).expect("a group that always matches");
        let mut words = name.as_str().split_whitespace();
        let is_name = words.all(|word| word.starts_with(char::is_uppercase) && !is_general(word));
        if is_name && !is_region(name.as_str()) {
            take(findings, name.start(), name.end(), subject);
        }
    }
    for origin in ORIGIN.captures_iter(text) {
        let name = origin.get(1).expect("a group that always matches");
        let first = name.as_str().split_whitespace().next().unwrap_or_default().trim_end_matches('.');
        if !is_region(name.as_str().trim_end_matches('.')) && !is_region(first) && !is_of_calendar(first) {
            let end = name.start() + name.as_str().trim_end_matches(['.', '-']).len();
            take(findings, name.start(), end, subject);
        }
    }
    for captures in FACILITY.captures_iter(text).chain(COUNTY.captures_iter(text)) {
        let name = captures.get(1).expect("a group that always matches");
        let words = tokens(name.as_str());
        let Some(first) = words.iter().find(|word| !is_general(word.word)) else { continue };
        // `The Nursing Home`, `Cardiac Rehabilitation Center`: plain words at the head of a sentence name nothing.
        if words
            .iter()
            .all(|word| is_general(word.word) || is_plain(word.word) && words.len() == 1 && !is_city(word.word))
        {
            continue;
        }
        let last = words.iter().rfind(|word| !is_general(word.word)).unwrap_or(first);
        take(findings, name.start() + first.start, name.start() + last.end, subject);
    }
}

/// A word that names of many facilities share, or a region's.
fn is_general(word: &str) -> bool {
    let lower = word.to_lowercase();
    GENERAL.contains(&lower.as_str()) || matches!(lower.as_str(), "of" | "and" | "at") || is_region(word)
}

fn find_cities(findings: &mut Findings<'_>, subject: &Subject, words: &[Token<'_>]) {
    const LONGEST: usize = 4;
    let text = findings.text;
    let mut at = 0;
    while at < words.len() {
        let first = words[at];
        let longest = (1..=LONGEST.min(words.len() - at)).rev().find(|length| {
            let last = words[at + length - 1];
            let name = &text[first.start..last.end];
            let is_spaced = words[at..at + length]
                .windows(2)
                .all(|pair| text[pair[0].end..pair[1].start].trim_matches([' ', '.']).is_empty());
            is_spaced
                && first.case != Case::Lower
                && is_city(&name.replace('\n', " "))
                && is_said(text, words, at, *length)
                || *length == 1
                    && subject.knows_place(first.word)
                    && first.case != Case::Lower
                    && first.case != Case::Mixed
        });
        if let Some(length) = longest {
            take(findings, first.start, words[at + length - 1].end, subject);
        }
        at += longest.unwrap_or(1);
    }
}

/// Whether a city's name stands for the city: before a state, or after a word that leads to a place.
fn is_said(text: &str, words: &[Token<'_>], at: usize, length: usize) -> bool {
    let (first, last) = (words[at], words[at + length - 1]);
    let name = &text[first.start..last.end];
    if is_region(name) || is_acronym(name) {
        return false;
    }
    let after = text[last.end..].trim_start_matches([',', ' ']);
    let state = after.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let before = at.checked_sub(1).map(|before| words[before].word.to_lowercase()).unwrap_or_default();
    let is_before_state = STATES.contains(&state) && text[last.end..].starts_with([',', ' ']);
    is_before_state
        || TOWARDS.contains(&before.as_str())
            && !(first.begins && length == 1)
            && (length > 1 || !is_plain(name) || before != "of" && before != "to" && before != "at" && before != "in")
}
