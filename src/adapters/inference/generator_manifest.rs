//! A generator's manifest: which architecture its GGUF file is of, how it is talked to, where it can be had.

use serde::Deserialize;

use super::manifest::{Architecture, Hub, Manifest, ManifestError, ModelFile, Package, Pooling, Task};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorArchitecture {
    /// Llama, Mistral, SmolLM.
    Llama,
    Qwen2,
    Gemma3,
}

/// How turns are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatTemplate {
    /// `<|im_start|>role` ... `<|im_end|>`.
    ChatMl,
    /// `<start_of_turn>role` ... `<end_of_turn>`; it has no role for instructions.
    Gemma,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorManifest {
    pub name: String,
    pub revision: String,
    pub architecture: GeneratorArchitecture,
    pub template: ChatTemplate,
    /// Prompt and answer together, at most.
    pub context_tokens: usize,
    pub licence: String,
    /// One `.gguf`; beside it a `tokenizer.json` where the GGUF's own can't be read.
    pub files: Vec<ModelFile>,
    pub hub: Option<Hub>,
    #[serde(default)]
    pub packages: Vec<Package>,
}

impl GeneratorManifest {
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        if manifest.weights().is_none() {
            return Err(ManifestError::Content("files must list one .gguf"));
        }
        if manifest.context_tokens < 256 {
            return Err(ManifestError::Content("context_tokens must be at least 256"));
        }
        match manifest.as_files().defect_of_files() {
            Some(defect) => Err(ManifestError::Content(defect)),
            None => Ok(manifest),
        }
    }

    pub(super) fn weights(&self) -> Option<&ModelFile> {
        let mut found = self.files.iter().filter(|file| file.name.ends_with(".gguf"));
        found.next().filter(|_| found.next().is_none())
    }

    /// For what looks at files and places only: fetching and verifying them.
    pub fn as_files(&self) -> Manifest {
        Manifest {
            name: self.name.clone(),
            revision: self.revision.clone(),
            architecture: Architecture::Bert,
            task: Task::Embed,
            measured: Vec::new(),
            dimension: 0,
            max_tokens: self.context_tokens,
            pooling: Pooling::Mean,
            normalize: true,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            licence: self.licence.clone(),
            files: self.files.clone(),
            hub: self.hub.clone(),
            packages: self.packages.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ChatTemplate, GeneratorArchitecture, GeneratorManifest};

    const SMOL: &str = include_str!("../../../models/SmolLM2-135M-Instruct.toml");
    const GEMMA: &str = include_str!("../../../models/gemma-3-270m.toml");

    #[test]
    fn the_shipped_manifests_are_valid() {
        let smol = GeneratorManifest::parse(SMOL).unwrap();
        assert_eq!((smol.architecture, smol.template), (GeneratorArchitecture::Llama, ChatTemplate::ChatMl));
        let gemma = GeneratorManifest::parse(GEMMA).unwrap();
        assert_eq!((gemma.architecture, gemma.template), (GeneratorArchitecture::Gemma3, ChatTemplate::Gemma));
        assert_eq!(gemma.packages[0].parts.len(), 4);
    }

    #[test]
    fn a_manifest_without_weights_or_with_a_name_that_climbs_is_refused() {
        assert!(GeneratorManifest::parse(&SMOL.replace(".gguf", ".bin")).is_err());
        assert!(GeneratorManifest::parse(&SMOL.replace("\"SmolLM2-135M-Instruct\"", "\"../x\"")).is_err());
        assert!(GeneratorManifest::parse(&SMOL.replace("= \"b179", "= \"X179")).is_err());
    }
}
