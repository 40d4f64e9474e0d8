//! Reads Rust source into tokens and paths, well enough to see who imports whom.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{fs, iter};

pub struct Source {
    /// From the root of the project, with `/`.
    pub path: String,
    /// `src/stages/ground/select.rs` is `stages, ground, select`.
    pub module: Vec<String>,
    pub length: usize,
    pub says_its_job: bool,
    /// All of the file, comments and the insides of strings left out.
    pub tokens: Vec<Token>,
    /// Without what only tests are built with.
    live: Vec<Token>,
    /// The paths in `live`.
    pub paths: Vec<Path>,
    /// Lines of `#[path]` in `live`.
    pub moved: Vec<usize>,
}

#[derive(Clone)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A path of two names or more, whether in a `use` or in passing.
pub struct Path {
    pub names: Vec<String>,
    pub line: usize,
    pub renamed: bool,
    /// The modules written around it within its file.
    around: Vec<String>,
}

impl Source {
    pub fn layer(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }

    /// The paths to modules of ours, from the root of the crate.
    pub fn imports(&self) -> impl Iterator<Item = Path> {
        self.paths.iter().filter_map(|path| {
            let mut at: Vec<String> = match path.names.first()?.as_str() {
                "crate" | "anamnesis" => Vec::new(),
                "self" | "super" => self.root_module().iter().chain(&path.around).cloned().collect(),
                _ => return None,
            };
            for name in &path.names {
                match name.as_str() {
                    "crate" | "anamnesis" | "self" => {}
                    "super" => drop(at.pop()),
                    _ => at.push(name.clone()),
                }
            }
            Some(Path { names: at, line: path.line, renamed: path.renamed, around: Vec::new() })
        })
    }

    /// `lib` and `main` name layers, but their module is the root.
    fn root_module(&self) -> &[String] {
        if matches!(self.layer(), "lib" | "main") { &[] } else { &self.module }
    }

    pub fn lines_of(&self, sequence: &[&str]) -> Vec<usize> {
        let found = self.live.windows(sequence.len());
        found.filter(|part| part.iter().zip(sequence).all(|(a, b)| a.text == *b)).map(|part| part[0].line).collect()
    }
}

pub fn from_disk() -> Vec<Source> {
    let root = PathBuf::from(option_env!("CARGO_MANIFEST_DIR").unwrap_or("."));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "build.rs"] {
        collect(&root, std::path::Path::new(folder), &mut files);
    }
    files.sort();
    read(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>())
}

fn collect(root: &std::path::Path, path: &std::path::Path, files: &mut Vec<(String, String)>) {
    if let Ok(entries) = fs::read_dir(root.join(path)) {
        for entry in entries {
            collect(root, &path.join(entry.expect("a readable folder").file_name()), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && root.join(path).exists() {
        let text = fs::read_to_string(root.join(path)).expect("a readable source file");
        files.push((path.to_str().expect("a plain file name").replace('\\', "/"), text));
    }
}

pub fn read(files: &[(&str, &str)]) -> Vec<Source> {
    let mut test_files = BTreeSet::new();
    let mut sources: Vec<_> = files.iter().map(|(path, text)| source(path, text, &mut test_files)).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        if test_files.iter().any(|test: &String| stem == test || stem.starts_with(&format!("{test}/"))) {
            source.live.clear();
            source.paths.clear();
            source.moved.clear();
        }
    }
    sources
}

fn source(path: &str, text: &str, test_files: &mut BTreeSet<String>) -> Source {
    let stem = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let tokens = tokens(text);
    let mut live = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if let Some(end) = end_of_test_item(&tokens, at) {
            test_files.extend(test_file(path, stem, &tokens[at..end]));
            at = end;
        } else {
            live.push(tokens[at].clone());
            at += 1;
        }
    }
    let moved = live.windows(3).filter(|part| part[0].text == "[" && part[1].text == "path" && part[2].text == "=");
    Source {
        path: path.to_owned(),
        module: stem.split('/').skip(1).map(str::to_owned).collect(),
        length: text.lines().count(),
        says_its_job: text.starts_with("//!"),
        moved: moved.map(|part| part[0].line).collect(),
        paths: paths(&live),
        tokens,
        live,
    }
}

/// The file, without `.rs`, that a `#[cfg(test)] mod name;` stands for.
fn test_file(path: &str, stem: &str, item: &[Token]) -> Option<String> {
    let [.., word, name, end] = item else { return None };
    if word.text != "mod" || end.text != ";" {
        return None;
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let named = item.windows(3).find(|part| part[0].text == "path" && part[1].text == "=");
    Some(match named {
        Some(part) => format!("{folder}/{}", part[2].text.trim_matches('"').trim_end_matches(".rs")),
        None if path.ends_with("/mod.rs") || stem == "src/lib" || stem == "src/main" => {
            format!("{folder}/{}", name.text)
        }
        None => format!("{stem}/{}", name.text),
    })
}

/// Where the item ends whose `#[cfg(test)]` begins at `at`; `None` when none begins there.
fn end_of_test_item(tokens: &[Token], at: usize) -> Option<usize> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    if (text(at), text(at + 1), text(at + 2), text(at + 3)) != ("#", "[", "cfg", "(") {
        return None;
    }
    let demands_test = match (text(at + 4), text(at + 5)) {
        ("test", ")") => true,
        ("all", "(") => all_holds_test(&tokens[at + 6..closing(tokens, at + 5)]),
        _ => false,
    };
    if !demands_test {
        return None;
    }
    let mut next = at;
    while text(next) == "#" {
        next = closing(tokens, next + 1);
    }
    while next < tokens.len() {
        match text(next) {
            ";" => return Some(next + 1),
            "{" => return Some(closing(tokens, next)),
            "}" => return Some(next),
            "(" | "[" => next = closing(tokens, next),
            _ => next += 1,
        }
    }
    Some(next)
}

/// Whether `test` itself stands in the list of an `all(..)`, not inside a `not` or `any` of it.
fn all_holds_test(list: &[Token]) -> bool {
    let mut depth = 0;
    list.iter().any(|token| {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        depth == 0 && token.text == "test"
    })
}

/// The place after the bracket that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

fn paths(tokens: &[Token]) -> Vec<Path> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let (mut found, mut around, mut depth, mut at) = (Vec::new(), Vec::<(String, usize)>::new(), 0, 0);
    while at < tokens.len() {
        match text(at) {
            "mod" if text(at + 2) == "{" => around.push((text(at + 1).to_owned(), depth)),
            "{" => depth += 1,
            "}" => {
                depth = usize::saturating_sub(depth, 1);
                around.retain(|(_, outside)| *outside < depth);
            }
            word if is_name(word) && text(at + 1) == "::" => {
                let around: Vec<_> = around.iter().map(|(name, _)| name.clone()).collect();
                at = tree(tokens, at, &[], &around, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Follows one path, or each path of a group, from `at`; gives the place after it.
fn tree(tokens: &[Token], mut at: usize, before: &[String], around: &[String], found: &mut Vec<Path>) -> usize {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut names = before.to_vec();
    loop {
        if text(at) == "{" {
            at += 1;
            while at < tokens.len() && text(at) != "}" {
                let is_start = is_name(text(at)) || matches!(text(at), "*" | "{");
                at = if is_start { tree(tokens, at, &names, around, found) } else { at + 1 };
            }
            return at + 1;
        }
        names.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" || !(is_name(text(at + 1)) || matches!(text(at + 1), "*" | "{")) {
            break;
        }
        at += 1;
    }
    let renamed = text(at) == "as";
    found.push(Path { names, line, renamed, around: around.to_vec() });
    if renamed { at + 2 } else { at }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first == '_' || first.is_alphabetic())
}

/// Names, `::`, single signs and, for a string, `"` with its inside.
fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < characters.len() {
        let (length, keep) = next_token(&characters[at..]);
        let word: String = characters[at..at + length].iter().collect();
        at += length;
        let lines = word.matches('\n').count();
        if keep {
            found.push(Token { text: word, line });
        }
        line += lines;
    }
    found
}

/// How many characters the next token, comment or blank takes, and whether it is a token.
fn next_token(rest: &[char]) -> (usize, bool) {
    let name_length = rest.iter().take_while(|&&c| c == '_' || c.is_alphanumeric()).count();
    let after = |index: usize| rest.get(index).copied().unwrap_or('\0');
    match rest[0] {
        '/' if after(1) == '/' => (rest.iter().take_while(|&&c| c != '\n').count(), false),
        '/' if after(1) == '*' => (block_comment(rest), false),
        '"' => (quoted(rest, '"'), true),
        '\'' if after(1) == '\\' || after(2) == '\'' => (quoted(rest, '\''), true),
        ':' if after(1) == ':' => (2, true),
        c if c.is_whitespace() => (1, false),
        _ if name_length == 0 => (1, true),
        _ => {
            let prefix: String = rest[..name_length].iter().collect();
            let hashes = rest[name_length..].iter().take_while(|&&c| c == '#').count();
            match prefix.as_str() {
                "r" | "br" | "cr" if after(name_length + hashes) == '"' => (raw(rest, name_length, hashes), true),
                _ => (name_length, true),
            }
        }
    }
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    rest.len().min(at + 1)
}

fn raw(rest: &[char], prefix: usize, hashes: usize) -> usize {
    let end: Vec<char> = iter::once('"').chain(iter::repeat_n('#', hashes)).collect();
    let inside = prefix + hashes + 1;
    let found = rest[inside..].windows(end.len()).position(|part| part == end);
    found.map_or(rest.len(), |position| inside + position + end.len())
}
