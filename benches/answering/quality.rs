//! Answers held against known ones, through `anamnesis eval-answers`.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::data::shared_if_there;
use crate::server::Outcome;

/// Figures of a report over questions that are shares, in the order they are shown.
const SHARES: [&str; 7] = [
    "structured_accuracy",
    "variant_accuracy",
    "accuracy_of_their_originals",
    "text_accuracy",
    "refusal_on_unanswerable",
    "refusal_on_answerable",
    "verbatim_rate",
];

pub fn measure(work: &Path) -> Outcome<Value> {
    let mut results = json!({ "questions": questions(work)? });
    for (name, folder) in [("scifact", "ir-scifact"), ("pubmedqa", "qa-pubmedqa")] {
        if let Some(folder) = shared_if_there(folder) {
            results[name] = evidence(name, &folder, work)?;
        }
    }
    Ok(results)
}

fn questions(work: &Path) -> Outcome<Value> {
    let mut evaluating = evaluation(work, "questions");
    if let Some(patients) = shared_if_there("fhir-synthea-r4") {
        evaluating.arg("--patients").arg(patients);
    }
    let report = run(&mut evaluating)?;
    println!("\nanswers to {} questions with known answers, {} quotes", report["questions"], report["quotes"]);
    for name in SHARES {
        println!("{name:>30} {:>7.4}", report[name].as_f64().unwrap_or(f64::NAN));
    }
    Ok(report)
}

fn evidence(name: &str, folder: &Path, work: &Path) -> Outcome<Value> {
    let report = run(evaluation(work, name).arg("--evidence").arg(folder))?;
    let share = |of: &Value| of.as_f64().unwrap_or(f64::NAN);
    println!(
        "\n{name}: of {} questions {} answered; sentences from a right document {:.4}, first sentences {:.4}",
        report["queries"],
        report["answered"],
        share(&report["right_document"]),
        share(&report["first_right_document"]),
    );
    for scores in ["evidence", "bm25_evidence"].into_iter().filter(|scores| report[scores].is_object()) {
        let of = |figure: &str| share(&report[scores][figure]);
        println!("{scores:>16} precision {:.4} recall {:.4} F1 {:.4}", of("precision"), of("recall"), of("f1"));
    }
    Ok(report)
}

fn evaluation(work: &Path, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anamnesis"));
    command.arg("eval-answers").arg("--work").arg(work.join(name));
    command
}

fn run(command: &mut Command) -> Outcome<Value> {
    let output = command.stderr(Stdio::inherit()).output()?;
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout)?),
        false => Err(format!("{command:?} ended with {}", output.status).into()),
    }
}
