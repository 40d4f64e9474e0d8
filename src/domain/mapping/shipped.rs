//! The mappings that come with the program, by name, as they are written down.

/// A source names one of these in place of a file: `mapping = "salesforce"`.
pub const SHIPPED: [(&str, &str); 6] = [
    ("bfd-idr", include_str!("../../../mappings/bfd-idr.toml")),
    ("bfd-rif", include_str!("../../../mappings/bfd-rif.toml")),
    ("carehome", include_str!("../../../mappings/carehome.toml")),
    ("hubspot", include_str!("../../../mappings/hubspot.toml")),
    ("medscheduler", include_str!("../../../mappings/medscheduler.toml")),
    ("salesforce", include_str!("../../../mappings/salesforce.toml")),
];

/// The text (TOML) of a shipped mapping.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::super::Mapping;
    use super::SHIPPED;

    #[test]
    fn every_shipped_mapping_is_usable_and_survives_being_written_back() {
        for (name, text) in SHIPPED {
            let mapping: Mapping = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let written = serde_json::to_string(&mapping).unwrap();
            assert_eq!(serde_json::from_str::<Mapping>(&written).unwrap(), mapping, "{name}");
            assert!(mapping.objects.iter().all(|object| !object.name.is_empty()), "{name}");
        }
    }
}
