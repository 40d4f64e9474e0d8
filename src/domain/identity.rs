//! What a patient's own record says that tells who the patient is.

/// Serves to hide it, and is never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Details of the demographics, of relatives and of insurance, each with its label: `Address`, `Phone`.
    pub details: Vec<(String, String)>,
    /// What the patient is called.
    pub names: Vec<String>,
    /// Who wrote the documents.
    pub authors: Vec<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity([redacted])")
    }
}
