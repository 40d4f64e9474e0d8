//! Takes a patient's own name out of a question about that patient.
//!
//! Within one patient's record the name says nothing, yet it is what the question shares most with every
//! letterhead and demographic line.

/// The question without the words of `name`; as it is when nothing else would be left.
pub fn without_name(question: &str, name: &str) -> String {
    let parts: Vec<String> = name.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
    let is_part = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s")).unwrap_or(&bare);
        bare.chars().count() > 1 && parts.iter().any(|part| part == bare)
    };
    let kept: Vec<&str> = question.split_whitespace().filter(|word| !is_part(word)).collect();
    if kept.iter().any(|word| word.chars().any(char::is_alphanumeric)) { kept.join(" ") } else { question.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::without_name;

    #[test]
    fn the_patients_name_goes_and_the_rest_stays() {
        assert_eq!(
            without_name("Why was metformin stopped for Ana Alvarez?", "Ana Lucia Alvarez"),
            "Why was metformin stopped for"
        );
        assert_eq!(without_name("What is Alvarez's eGFR?", "Ana Lucia Alvarez"), "What is eGFR?");
    }

    #[test]
    fn a_question_that_is_only_a_name_is_left_alone() {
        assert_eq!(without_name("Ana Alvarez?", "Ana Lucia Alvarez"), "Ana Alvarez?");
    }
}
