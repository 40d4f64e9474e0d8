//! `anamnesis search` and `anamnesis ask`: a reader's commands, through a server and with a token.

use serde_json::{Value, json};

use super::arguments::AskOptions;
use super::{Done, Failure};

pub async fn search(options: AskOptions) -> Done {
    let request = json!({ "query": options.text, "patient": options.patient });
    let response = post(&options.url, &options.token, "/v1/search", &request).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&response)?);
        return Ok(());
    }
    for hit in list(&response, "hits") {
        println!("{} · {} · {} old", text(hit, "title"), text(hit, "source"), text(hit, "age"));
        println!("    {}\n", text(hit, "text").replace('\n', "\n    "));
    }
    Ok(())
}

pub async fn ask(options: AskOptions) -> Done {
    let response = answer(&options.url, &options.token, &options.text, options.patient.as_deref()).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&response)?);
    } else {
        print_answer(&response);
    }
    Ok(())
}

pub async fn answer(url: &str, token: &str, question: &str, patient: Option<&str>) -> Result<Value, Failure> {
    post(url, token, "/v1/answer", &json!({ "question": question, "patient": patient })).await
}

/// An answer with its citations, for a terminal.
pub fn print_answer(response: &Value) {
    match text(response, "status") {
        "answered" => {}
        "partial" => println!("  (not all of it: {})", text(response, "reason")),
        _ => println!("  (no answer: {})", text(response, "reason")),
    }
    if let Some(verdict) = response["finding"]["verdict"].as_str() {
        println!("  {verdict}");
    }
    for sentence in list(response, "sentences") {
        let numbers: Vec<String> = list(sentence, "citations").iter().map(|number| format!("[{number}]")).collect();
        println!("  {} {}", text(sentence, "text"), numbers.concat());
    }
    for citation in list(response, "citations") {
        println!(
            "  [{}] {} · {} · {} old · document {} version {}",
            citation["number"],
            text(citation, "title"),
            text(citation, "source"),
            text(citation, "age"),
            text(citation, "document"),
            citation["version"],
        );
    }
}

async fn post(url: &str, token: &str, path: &str, body: &Value) -> Result<Value, Failure> {
    let address = format!("{}{path}", url.trim_end_matches('/'));
    let response = reqwest::Client::new().post(address).bearer_auth(token).json(body).send().await?;
    let status = response.status();
    let answer: Value = response.json().await?;
    if status.is_success() {
        return Ok(answer);
    }
    Err(Failure::new(format!("{status}: {} {}", text(&answer, "code"), text(&answer, "detail"))))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
