//! `CAS`: why less was paid than billed, and who bears it.

use super::amounts::{Amount, dollars};
use super::codes;
use super::segments::Segment;

#[derive(Clone, Copy, Debug)]
pub(super) struct Adjustment<'a> {
    /// `CO`, `PR`, `OA`, `PI`, `CR`
    pub group: &'a str,
    pub reason: &'a str,
    amount: &'a str,
}

impl Adjustment<'_> {
    pub fn amount(&self) -> Amount {
        Amount::parse(self.amount).unwrap_or_default()
    }

    /// `$10.00 above the fee schedule or contract (CO 45: contractual obligation, ...)`
    pub fn words(&self) -> String {
        let reason = codes::ADJUSTMENT_REASON.words(self.reason);
        format!("{} {reason} ({} {}: {})", dollars(self.amount), self.group, self.reason, self.group_words())
    }

    fn group_words(&self) -> String {
        codes::ADJUSTMENT_GROUP.words(self.group)
    }

    /// The patient's ordinary share: deductible, coinsurance, co-payment.
    pub fn is_cost_share(&self) -> bool {
        self.group == "PR" && matches!(self.reason, "1" | "2" | "3" | "66" | "241")
    }
}

/// Up to six triples of reason, amount and quantity behind the group.
pub(super) fn of<'a>(segment: &Segment<'a>) -> Vec<Adjustment<'a>> {
    let triple = |at: usize| {
        let reason = segment.given(at)?;
        Some(Adjustment { group: segment.get(1), reason, amount: segment.get(at + 1) })
    };
    (0..6).filter_map(|ordinal| triple(2 + 3 * ordinal)).collect()
}

/// Those of every `CAS` among the segments.
pub(super) fn among<'a>(segments: &[Segment<'a>]) -> Vec<Adjustment<'a>> {
    segments.iter().filter(|segment| segment.is("CAS")).flat_map(of).collect()
}

pub(super) fn total(adjustments: &[Adjustment<'_>]) -> Amount {
    adjustments.iter().map(Adjustment::amount).sum()
}

pub(super) fn list(adjustments: &[Adjustment<'_>]) -> Option<String> {
    let words: Vec<String> = adjustments.iter().map(Adjustment::words).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

#[cfg(test)]
mod tests {
    use super::super::segments::Separators;
    use super::*;

    #[test]
    fn one_segment_holds_up_to_six_reasons() {
        let separators =
            Separators { element: b'*', repetition: None, component: None, terminator: b'~', fixed_width: true };
        let segment = Segment::new("CAS*PR*1*20**2*5.5*1*999*.25", separators, 1);
        let found = of(&segment);
        assert_eq!(found.iter().map(|adjustment| adjustment.reason).collect::<Vec<_>>(), ["1", "2", "999"]);
        assert_eq!(total(&found).to_string(), "25.75");
        assert_eq!(found[0].words(), "$20.00 deductible (PR 1: patient responsibility)");
        assert_eq!(found[2].words(), "$0.25 code 999 (meaning unknown) (PR 999: patient responsibility)");
        assert!(found[0].is_cost_share() && !found[2].is_cost_share());
    }
}
