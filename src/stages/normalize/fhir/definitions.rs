//! The elements of every R4 type, read once from the table beside this file.

use std::collections::HashMap;
use std::sync::LazyLock;

const TABLE: &str = include_str!("definitions.txt");

static TYPES: LazyLock<HashMap<&'static str, Type>> = LazyLock::new(|| flattened(parsed()));

#[derive(Debug, Default)]
pub(in crate::stages::normalize) struct Type {
    base: Option<&'static str>,
    pub elements: HashMap<&'static str, Element>,
    /// Names of elements that must be there.
    pub required: Vec<&'static str>,
    /// Stems of choices, and whether one of them must be there.
    pub choices: Vec<(&'static str, bool)>,
}

#[derive(Clone, Debug)]
pub(in crate::stages::normalize) struct Element {
    pub kind: &'static str,
    pub primitive: bool,
    pub repeats: bool,
    required: bool,
    /// `value` of `valueQuantity`.
    pub choice: Option<&'static str>,
    choice_required: bool,
    /// The only codes allowed; none means any.
    pub codes: Vec<&'static str>,
    /// The types that a reference may lead to; none means any.
    pub targets: Vec<&'static str>,
}

pub(in crate::stages::normalize) fn of(name: &str) -> Option<&'static Type> {
    TYPES.get(name)
}

type Parsed = Vec<(&'static str, Type)>;

fn parsed() -> Parsed {
    let mut types: Parsed = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix(' ') {
            None => {
                let (name, base) = line.split_once(" < ").map_or((line, None), |(name, base)| (name, Some(base)));
                types.push((name, Type { base, ..Type::default() }));
            }
            Some(line) => {
                if let (Some((_, last)), Some((name, element))) = (types.last_mut(), element(line)) {
                    last.elements.insert(name, element);
                }
            }
        }
    }
    types
}

fn element(line: &'static str) -> Option<(&'static str, Element)> {
    let (line, targets) = line.split_once(" > ").map_or((line, ""), |(line, targets)| (line, targets));
    let (line, codes) = line.split_once(" = ").map_or((line, ""), |(line, codes)| (line, codes));
    let mut words = line.split(' ');
    let (name, kind) = (words.next()?, words.next()?);
    let choice = words.next();
    let list = |text: &'static str| text.split('|').filter(|word| !word.is_empty()).collect();
    let bare = kind.trim_end_matches(['*', '!']);
    let element = Element {
        kind: bare,
        primitive: bare.starts_with(|c: char| c.is_ascii_lowercase()),
        repeats: kind.contains('*'),
        required: kind.contains('!'),
        choice: choice.map(|choice| choice.trim_end_matches("[x]!").trim_end_matches("[x]")),
        choice_required: choice.is_some_and(|choice| choice.ends_with('!')),
        codes: list(codes),
        targets: list(targets),
    };
    Some((name, element))
}

/// Every type with the elements of its bases.
fn flattened(parsed: Parsed) -> HashMap<&'static str, Type> {
    let own: HashMap<&'static str, &Type> = parsed.iter().map(|(name, kind)| (*name, kind)).collect();
    let mut types = HashMap::new();
    for (name, kind) in &parsed {
        let mut elements = kind.elements.clone();
        let mut base = kind.base.and_then(|base| own.get(base));
        while let Some(above) = base {
            for (name, element) in &above.elements {
                elements.entry(name).or_insert_with(|| element.clone());
            }
            base = above.base.and_then(|base| own.get(base));
        }
        types.insert(*name, complete(elements));
    }
    types
}

fn complete(elements: HashMap<&'static str, Element>) -> Type {
    let mut required: Vec<_> = elements.iter().filter(|(_, element)| element.required).map(|(name, _)| *name).collect();
    required.sort_unstable();
    let choices = elements.values().filter_map(|element| Some((element.choice?, element.choice_required)));
    let mut choices: Vec<_> = choices.collect();
    choices.sort_unstable();
    choices.dedup();
    Type { base: None, elements, required, choices }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::fhir::names;

    #[test]
    fn the_table_reads_as_written() {
        let observation = of("Observation").unwrap();
        assert_eq!(observation.required, ["code", "status"]);
        assert!(observation.choices.contains(&("value", false)));
        assert!(observation.elements["status"].codes.contains(&"entered-in-error"));
        assert!(observation.elements["subject"].targets.contains(&"Patient"));
        assert!(observation.elements["contained"].repeats && observation.elements.contains_key("meta"));
        assert!(of("Immunization").unwrap().choices.contains(&("occurrence", true)));
    }

    #[test]
    fn every_type_named_is_described() {
        for kind in TYPES.values() {
            for (name, element) in &kind.elements {
                assert!(element.primitive || TYPES.contains_key(element.kind), "{name} {}", element.kind);
            }
        }
        let primitives: std::collections::BTreeSet<_> =
            TYPES.values().flat_map(|kind| kind.elements.values()).filter(|e| e.primitive).map(|e| e.kind).collect();
        assert!(primitives.len() <= 20, "{primitives:?}");
        assert!(names::treatment("Observation").is_some());
    }
}
