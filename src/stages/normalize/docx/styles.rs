//! Which paragraph styles are headings, whatever language their names are in.

use std::collections::HashMap;

use crate::domain::Unreadable;

use super::xml::{Step, walk};

const MAX_STYLES: usize = 20_000;

/// Style id to the level of heading, 1 to 6.
#[derive(Debug, Default)]
pub(super) struct Styles {
    levels: HashMap<String, usize>,
}

impl Styles {
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut levels = HashMap::new();
        let mut current: Option<String> = None;
        walk(bytes, |step| {
            if let Step::Begin(element) = step {
                match element.name.as_str() {
                    "style" => current = element.attribute("styleId").map(str::to_owned),
                    "name" => put(&mut levels, &current, element.value().and_then(by_name)),
                    "outlineLvl" => put(&mut levels, &current, element.value().and_then(outline)),
                    _ => {}
                }
            }
            Ok(())
        })?;
        Ok(Self { levels })
    }

    /// Styles of a document without a list of them are still called as the program calls them.
    pub fn level(&self, style: &str) -> Option<usize> {
        self.levels.get(style).copied().or_else(|| by_name(style))
    }
}

fn put(levels: &mut HashMap<String, usize>, style: &Option<String>, level: Option<usize>) {
    if let (Some(style), Some(level)) = (style, level)
        && levels.len() < MAX_STYLES
    {
        levels.insert(style.clone(), level);
    }
}

fn by_name(name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    if name == "title" {
        return Some(1);
    }
    let level = name.strip_prefix("heading")?.trim().parse::<usize>().ok()?;
    (1..=9).contains(&level).then_some(level.min(6))
}

/// `0` is the highest; `9` is body text.
pub(super) fn outline(value: &str) -> Option<usize> {
    value.parse::<usize>().ok().filter(|level| *level < 9).map(|level| (level + 1).min(6))
}
