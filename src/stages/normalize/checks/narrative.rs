//! Narratives: XHTML of a small vocabulary, in its own namespace, with nothing that runs or is fetched.

use std::sync::LazyLock;

use regex::Regex;

static TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<(/?)([A-Za-z][\w:.-]*)([^<>]*)>").expect("a fixed pattern"));
static ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"([A-Za-z][\w:.-]*)\s*(=\s*("[^"]*"|'[^']*'))?"#).expect("a fixed pattern"));
static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)<!--.*?-->").expect("a fixed pattern"));
static ENTITY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"&(#\d+|#x[0-9a-fA-F]+|\w+);?").expect("a fixed pattern"));

const XHTML: &str = "http://www.w3.org/1999/xhtml";

const ELEMENTS: [&str; 57] = [
    "a",
    "abbr",
    "acronym",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "del",
    "kbd",
    "li",
    "map",
    "area",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "s",
    "strike",
    "font",
];

const ATTRIBUTES: [&str; 51] = [
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellhalign",
    "cellpadding",
    "cellspacing",
    "cellvalign",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "color",
    "cols",
    "colspan",
    "compact",
    "coords",
    "dir",
    "face",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "longdesc",
    "name",
    "noshade",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "size",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "valign",
];

const EMPTY: [&str; 5] = ["br", "hr", "img", "col", "area"];

fn is_attribute(name: &str) -> bool {
    let more = ["value", "vspace", "width", "xmlns"];
    ATTRIBUTES.contains(&name) || more.contains(&name) || name.starts_with("xml:") || name.starts_with("xmlns:")
}

/// Attributes that make something run or look elsewhere.
fn runs(name: &str) -> bool {
    name.len() > 2 && name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("on"))
}

/// What is wrong with a narrative, as rules' names, at most one of each.
pub(super) fn faults(div: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let mut add = |rule: &'static str| {
        if !faults.contains(&rule) {
            faults.push(rule);
        }
    };
    let text = COMMENT.replace_all(div.trim(), "");
    let text = text.as_ref();
    if text.contains("<!DOCTYPE") || text.contains("<!ENTITY") {
        add("narrative_unsafe");
    }
    let first = TAG.captures(text).filter(|found| found.get(0).is_some_and(|whole| whole.start() == 0));
    match first {
        Some(tag) if tag.get(2).is_some_and(|name| name.as_str() == "div") => {
            let attributes = tag.get(3).map(|attributes| attributes.as_str()).unwrap_or_default();
            if !attributes.contains(XHTML) {
                add("narrative_namespace");
            }
        }
        Some(tag) if tag.get(2).is_some_and(|name| name.as_str().ends_with(":div")) => {}
        _ => add("narrative_form"),
    }
    let mut open: Vec<&str> = Vec::new();
    let mut end = 0;
    for tag in TAG.captures_iter(text) {
        let (Some(whole), Some(name)) = (tag.get(0), tag.get(2)) else { continue };
        if text.get(end..whole.start()).is_some_and(|between| between.contains('<')) {
            add("narrative_form");
        }
        end = whole.end();
        let local = name.as_str().rsplit(':').next().unwrap_or(name.as_str());
        let attributes = tag.get(3).map(|attributes| attributes.as_str()).unwrap_or_default();
        if !ELEMENTS.contains(&local) {
            add("narrative_unsafe");
        }
        if !attributes_are_fit(attributes) {
            add("narrative_unsafe");
        }
        match tag.get(1).map(|slash| slash.as_str()) {
            Some("/") => {
                if open.pop() != Some(local) {
                    add("narrative_form");
                }
            }
            _ if attributes.trim_end().ends_with('/') => {}
            _ if EMPTY.contains(&local) => add("narrative_form"),
            _ => open.push(local),
        }
    }
    if !open.is_empty() || text.get(end..).is_some_and(|rest| !rest.trim().is_empty()) {
        add("narrative_form");
    }
    if ENTITY.captures_iter(text).any(|entity| !entity_is_known(&entity)) || text.contains("& ") {
        add("narrative_form");
    }
    if is_blank(text) {
        add("narrative_empty");
    }
    faults
}

fn attributes_are_fit(attributes: &str) -> bool {
    ATTRIBUTE.captures_iter(attributes).all(|attribute| {
        let name = attribute.get(1).map(|name| name.as_str()).unwrap_or_default();
        let value = attribute.get(3).map(|value| value.as_str()).unwrap_or_default().to_ascii_lowercase();
        is_attribute(name) && !runs(name) && !value.contains("javascript:")
    })
}

fn entity_is_known(entity: &regex::Captures<'_>) -> bool {
    let whole = entity.get(0).map(|whole| whole.as_str()).unwrap_or_default();
    let name = whole.trim_start_matches('&').trim_end_matches(';');
    whole.ends_with(';') && (name.starts_with('#') || matches!(name, "amp" | "lt" | "gt" | "quot" | "apos" | "nbsp"))
}

/// No text and no picture.
fn is_blank(text: &str) -> bool {
    let words = TAG.replace_all(text, "");
    words.trim().is_empty() && !text.contains("<img")
}

#[cfg(test)]
mod tests {
    use super::faults;

    fn within(content: &str) -> Vec<&'static str> {
        faults(&format!(r#"<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>"#))
    }

    #[test]
    fn a_usual_narrative_has_no_faults() {
        assert!(within("<p class=\"x\">A &amp; b<br/>c &#160; <img src='#a' alt='b'/></p><!-- <odd> -->").is_empty());
    }

    #[test]
    fn what_runs_or_breaks_is_named() {
        assert_eq!(within("<script>x()</script>"), ["narrative_unsafe"]);
        assert_eq!(within("<p onclick=\"x()\">a</p>"), ["narrative_unsafe"]);
        assert_eq!(within("<a href=\"javascript:x()\">a</a>"), ["narrative_unsafe"]);
        assert_eq!(within("<p>a"), ["narrative_form"]);
        assert_eq!(within("<p/>"), ["narrative_empty"]);
        assert_eq!(faults("<div>a</div>"), ["narrative_namespace"]);
        assert_eq!(faults("words"), ["narrative_form"]);
    }
}
