//! Questions for allergies.

use super::{Chart, Expected, Judged, called, code, plain};

impl Chart {
    pub(super) fn allergies(&self) -> Vec<Judged> {
        let mut all = Vec::new();
        let mut active = Vec::new();
        for resource in self.of("AllergyIntolerance") {
            let (Some(name), Some(clinical)) = (called(&resource["code"]), code(&resource["clinicalStatus"])) else {
                continue;
            };
            let denied = code(&resource["verificationStatus"]) == Some("refuted");
            let so = clinical == "active" && !denied && !name.starts_with("No known");
            if so {
                active.push(name.clone());
            }
            let substance = plain(&name).replace("Allergy to ", "").replace(" allergy", "");
            if !name.starts_with("No known") && !substance.contains(" and ") {
                let question = format!("Is the patient allergic to {}?", substance.to_lowercase());
                all.push(self.ask("presence", question, if so { Expected::Yes } else { Expected::No }));
            }
        }
        if !active.is_empty() {
            all.push(self.ask("list", "What allergies does the patient have?".to_owned(), Expected::Lines(active)));
        }
        all
    }
}
