//! Quality checks on a document that can be read: findings carry an element's name, never its value.

use crate::domain::{Finding, Severity};
use crate::stages::normalize::codes;
use crate::stages::normalize::fhir::elements::system_name;
use crate::stages::normalize::xml::Element;

use super::concept::system_uri;
use super::time::moment;

/// Past this, a document's findings say nothing new.
const MAX_FINDINGS: usize = 50;

/// Elements of type TS, wherever they stand.
const TIMES: [&str; 3] = ["effectiveTime", "birthTime", "time"];

pub(super) fn check(document: Element<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for element in document.descendants() {
        if findings.len() >= MAX_FINDINGS {
            break;
        }
        let name = element.name();
        if TIMES.contains(&name) && times(element).any(|value| moment(value).is_none()) {
            findings.push(finding("invalid_date", Severity::Error, name));
        }
        if let (Some(code), Some(system)) = (element.attribute("code"), element.attribute("codeSystem"))
            && system_name(&system_uri(system)).and_then(|system| codes::well_formed(system, code)) == Some(false)
        {
            findings.push(finding("code_format", Severity::Warning, name));
        }
    }
    findings
}

/// A time's own value, and those of its bounds.
fn times<'t>(element: Element<'t>) -> impl Iterator<Item = &'t str> {
    let bounds = element.elements().filter(|bound| matches!(bound.name(), "low" | "high" | "center"));
    std::iter::once(element).chain(bounds).filter_map(|element| element.attribute("value"))
}

pub(super) fn finding(rule: &str, severity: Severity, name: &str) -> Finding {
    let known = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let name = if known { name } else { "?" };
    Finding { rule: rule.to_owned(), severity, path: format!("ClinicalDocument..{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    #[test]
    fn slips_are_named_without_their_values() {
        let tree = Tree::parse(
            "<d><effectiveTime><low value='00000000'/></effectiveTime><code code='4548-1' codeSystem='2.16.840.1.113883.6.1'/>\
             <effectiveTime value='2024'/></d>",
        )
        .unwrap();
        let found: Vec<_> = check(tree.root()).into_iter().map(|finding| (finding.rule, finding.path)).collect();
        assert_eq!(
            found,
            [
                ("invalid_date".to_owned(), "ClinicalDocument..effectiveTime".to_owned()),
                ("code_format".to_owned(), "ClinicalDocument..code".to_owned())
            ]
        );
    }
}
