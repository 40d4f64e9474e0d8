//! Reads the source tree and holds it to its layers and to the rules no compiler checks.
//!
//! Code under `#[cfg(test)]` is exempt from the rules on imports, `Upkeep` and the environment. Paths are followed
//! as written: `crate::`, `anamnesis::`, and `super::` as far up as it climbs.

#[path = "layers/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};

use source::{Path, Source, from_disk, read};

/// What each module at the top of `src/` may import. `main` and `cli` may import everything.
const LAYERS: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("config", &[]),
    ("telemetry", &[]),
    ("access", &["domain"]),
    ("stages", &["domain"]),
    ("adapters", &["access", "domain"]),
    ("flows", &["stages", "adapters", "access", "domain", "telemetry"]),
    ("app", &["flows", "adapters", "access", "domain", "config", "telemetry", "stages"]),
    ("http", &["app", "flows", "access", "domain", "telemetry", "config"]),
    ("jobs", &["app", "flows", "access", "domain", "telemetry", "adapters"]),
    ("lib", &[]),
    ("cli", EVERYTHING),
    ("main", EVERYTHING),
];
const EVERYTHING: &[&str] =
    &["domain", "config", "telemetry", "access", "stages", "adapters", "flows", "app", "http", "jobs", "cli"];
const MAKES_UPKEEP: [&str; 3] = ["src/jobs/", "src/cli/", "src/access/upkeep.rs"];
const READS_ENVIRONMENT: &str = "src/config.rs";
const ENVIRONMENT: [&str; 7] = ["var", "var_os", "vars", "vars_os", "set_var", "remove_var", "*"];
const LONGEST_FILE: usize = 600;

#[test]
fn every_module_at_the_top_is_known() {
    hold(unknown_modules);
}

#[test]
fn imports_point_down_only() {
    hold(upward_imports);
}

#[test]
fn the_adapters_are_strangers_to_each_other() {
    hold(adapters_that_meet);
}

#[test]
fn no_stage_depends_on_itself_by_way_of_others() {
    hold(stages_in_a_circle);
}

#[test]
fn only_jobs_and_the_command_line_begin_upkeep() {
    hold(upkeep_begun_elsewhere);
}

#[test]
fn only_the_configuration_reads_the_environment() {
    hold(environment_read_elsewhere);
}

#[test]
fn nothing_is_unsafe() {
    hold(unsafe_code);
}

#[test]
fn no_file_is_too_long() {
    hold(long_files);
}

#[test]
fn every_file_opens_with_its_job() {
    hold(files_without_a_job);
}

fn hold(rule: fn(&[Source]) -> Vec<String>) {
    let sources = from_disk();
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the source tree wasn't found");
    let broken = rule(&sources);
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

// The rules. Each gives one line per place where it is broken.

fn unknown_modules(sources: &[Source]) -> Vec<String> {
    let unknown = in_src(sources).filter(|source| allowed(source.layer()).is_none());
    let mut broken: Vec<_> = unknown
        .map(|source| format!("{}: `{}` is in no layer of tests/layers.rs", source.path, source.layer()))
        .collect();
    for source in in_src(sources) {
        broken.extend(
            source
                .moved
                .iter()
                .map(|line| format!("{}:{line}: `#[path]` outside tests hides where a module lives", source.path)),
        );
    }
    broken
}

fn upward_imports(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in in_src(sources) {
        for import in source.imports() {
            if !may_import(source.layer(), &import.names) {
                let (from, to) = (source.layer(), import.names.join("::"));
                broken.push(format!("{}:{}: `{from}` may not import `{to}`", source.path, import.line));
            }
        }
    }
    broken
}

fn may_import(layer: &str, target: &[String]) -> bool {
    let Some(to) = target.first().map(String::as_str) else { return false };
    layer == to
        || allowed(layer).is_some_and(|below| below.contains(&to))
        || (layer == "http" && (is_row_of_the_store(target) || is_age_in_words(target)))
}

/// `http` puts rows and errors of the store into words, so it may name these types in full; never `Store` itself,
/// which is reached through flows and the app.
fn is_row_of_the_store(target: &[String]) -> bool {
    let names: Vec<_> = target.iter().map(String::as_str).collect();
    let ["adapters", "store", kind, ..] = names.as_slice() else { return false };
    *kind != "Store" && kind.starts_with(|first: char| first.is_ascii_uppercase())
}

/// `http` says how old a thing is by the one stage made for it.
fn is_age_in_words(target: &[String]) -> bool {
    target.len() >= 2 && target.starts_with(&["stages".to_owned(), "age".to_owned()])
}

fn adapters_that_meet(sources: &[Source]) -> Vec<String> {
    let edges = sibling_edges(sources, "adapters");
    edges.iter().map(|((from, to), place)| format!("{place}: adapter `{from}` imports adapter `{to}`")).collect()
}

fn stages_in_a_circle(sources: &[Source]) -> Vec<String> {
    let mut edges = sibling_edges(sources, "stages");
    loop {
        let from: BTreeSet<_> = edges.keys().map(|(from, _)| from.clone()).collect();
        let to: BTreeSet<_> = edges.keys().map(|(_, to)| to.clone()).collect();
        let before = edges.len();
        edges.retain(|(start, end), _| to.contains(start) && from.contains(end));
        if edges.len() == before {
            break;
        }
    }
    edges
        .iter()
        .map(|((from, to), place)| format!("{place}: stage `{from}` imports `{to}`, part of a circle"))
        .collect()
}

fn upkeep_begun_elsewhere(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in in_src(sources).filter(|source| !MAKES_UPKEEP.iter().any(|place| source.path.starts_with(place))) {
        let begins = |path: &&Path| path.names.ends_with(&["Upkeep".to_owned(), "begin".to_owned()]);
        let renames = |path: &&Path| path.renamed && path.names.ends_with(&["Upkeep".to_owned()]);
        let paths = source.paths.iter().filter(|path| begins(path) || renames(path)).map(|path| path.line);
        let spelled_out = source.lines_of(&["Upkeep", ">", "::", "begin"]);
        let aliases = source.lines_of(&["=", "Upkeep", ";"]);
        let lines: BTreeSet<_> = paths.chain(spelled_out).chain(aliases).collect();
        broken.extend(lines.into_iter().map(|line| format!("{}:{line}: begins or renames `Upkeep`", source.path)));
    }
    broken
}

fn environment_read_elsewhere(sources: &[Source]) -> Vec<String> {
    let reads = |path: &&Path| {
        let called = path.names.windows(2).any(|pair| pair[0] == "env" && ENVIRONMENT.contains(&pair[1].as_str()));
        called || (path.renamed && path.names == ["std", "env"])
    };
    let mut broken = Vec::new();
    for source in in_src(sources).filter(|source| source.path != READS_ENVIRONMENT) {
        let lines = source.paths.iter().filter(reads).map(|path| path.line);
        broken.extend(lines.map(|line| format!("{}:{line}: reads or sets the environment", source.path)));
    }
    broken
}

fn unsafe_code(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let lines = source.tokens.iter().filter(|token| token.text == "unsafe").map(|token| token.line);
        broken.extend(lines.map(|line| format!("{}:{line}: `unsafe`", source.path)));
    }
    broken
}

fn long_files(sources: &[Source]) -> Vec<String> {
    let long = sources.iter().filter(|source| source.length > LONGEST_FILE);
    long.map(|source| format!("{}: {} lines, more than {LONGEST_FILE}", source.path, source.length)).collect()
}

fn files_without_a_job(sources: &[Source]) -> Vec<String> {
    let silent = sources.iter().filter(|source| !source.says_its_job);
    silent.map(|source| format!("{}:1: doesn't open with `//!`", source.path)).collect()
}

fn allowed(layer: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, below)| *below)
}

fn in_src(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.path.starts_with("src/"))
}

/// Who imports whom among the modules directly inside `layer`, each with the first place it is done.
fn sibling_edges(sources: &[Source], layer: &str) -> BTreeMap<(String, String), String> {
    let inside = || in_src(sources).filter(|source| source.layer() == layer);
    let siblings: BTreeSet<_> = inside().filter_map(|source| source.module.get(1).cloned()).collect();
    let offered: Vec<_> = inside().filter(|source| source.module.len() == 1).flat_map(|source| &source.paths).collect();
    let home = |name: &String| {
        let by_way_of = |path: &&&Path| path.names.last() == Some(name) && siblings.contains(&path.names[0]);
        siblings.get(name).or_else(|| offered.iter().find(by_way_of).map(|path| &path.names[0])).cloned()
    };
    let mut edges = BTreeMap::new();
    for source in inside() {
        let Some(from) = source.module.get(1) else { continue };
        for import in source.imports().filter(|import| import.names.first().is_some_and(|first| first == layer)) {
            let to = import.names.get(1).and_then(home);
            if let Some(to) = to.filter(|to| to != from) {
                edges.entry((from.clone(), to)).or_insert_with(|| format!("{}:{}", source.path, import.line));
            }
        }
    }
    edges
}

// The checker itself, on small trees with one thing planted in each.

fn broken(rule: fn(&[Source]) -> Vec<String>, files: &[(&str, &str)]) -> Vec<String> {
    let places = rule(&read(files)).into_iter();
    places.map(|place| place.split_once(": ").map_or(place.clone(), |(place, _)| place.to_owned())).collect()
}

#[test]
fn an_import_upward_is_seen_however_it_is_written() {
    let ways = [
        "use crate::http::Problem;",
        "use crate::{domain::Hit, http::{Problem}};",
        "use super::super::http::Problem;",
        "use super::{super::http, fuse};",
        "fn f() -> crate::http::Problem { loop {} }",
        "mod inner { use super::super::super::http::Problem; }",
        "pub use anamnesis::http as below;",
        "fn f<'a>(c: &'a char) { if *c == '\"' { crate::http::g() } }",
        "const QUOTE: &str = r#\"a \" quote\"#; use crate::http;",
        "#[cfg(not(test))] use crate::http::Problem;",
        "#[cfg(all(any(test, unix), windows))] use crate::http::Problem;",
        "#[cfg(test)] mod tests { use crate::app::App; } use crate::http;",
        "use crate::*;",
    ];
    for text in ways {
        assert_eq!(broken(upward_imports, &[("src/stages/chunk.rs", text)]), ["src/stages/chunk.rs:1"], "{text}");
    }
}

#[test]
fn an_import_downward_passes() {
    let files = [
        ("src/stages/chunk.rs", "use crate::domain::{Chunk, Span};\nuse super::sentences::Splitter;\nuse http::Uri;"),
        ("src/stages/ground/mod.rs", "mod select; pub use select::select; mod inner { use super::super::terms; }"),
        (
            "src/http/search.rs",
            "use crate::adapters::store::{AuditRow, StoreError}; use crate::stages::age::age_words;",
        ),
        ("src/main.rs", "fn main() { anamnesis::cli::run() }"),
    ];
    assert_eq!(broken(upward_imports, &files), Vec::<String>::new());
    assert_eq!(broken(unknown_modules, &files), Vec::<String>::new());
}

#[test]
fn words_in_comments_and_strings_are_no_imports() {
    let text = "//! crate::http::A\n/* crate::http /* unsafe */ */\nconst A: &str = \"crate::http::unsafe\";";
    let files = [("src/domain/ids.rs", text)];
    assert_eq!(broken(upward_imports, &files), Vec::<String>::new());
    assert_eq!(broken(unsafe_code, &files), Vec::<String>::new());
}

#[test]
fn what_only_tests_build_may_import_anything() {
    let files = [
        (
            "src/domain/mod.rs",
            "#[cfg(test)]\nmod builders;\n#[cfg(all(test, unix))]\nmod tests { use crate::app::App; }",
        ),
        ("src/domain/builders.rs", "use crate::http::Problem;"),
        ("src/domain/ids.rs", "#[cfg(test)]\n#[path = \"ids_tests.rs\"]\nmod tests;"),
        ("src/domain/ids_tests.rs", "use crate::http::Problem;"),
        ("src/domain/time.rs", "use crate::http::Problem;"),
    ];
    assert_eq!(broken(upward_imports, &files), ["src/domain/time.rs:1"]);
}

#[test]
fn http_and_jobs_see_no_more_of_the_rest_than_they_may() {
    let files = [
        ("src/http/a.rs", "use crate::adapters::store::{AuditRow,\nStore};\nuse crate::adapters::store;"),
        (
            "src/http/b.rs",
            "use crate::adapters::index::Index;\nuse crate::stages::fuse::rrf;\nuse crate::jobs::Runner;",
        ),
        ("src/jobs/c.rs", "use crate::adapters::store::Store;\nuse crate::http::Problem;"),
    ];
    let seen = ["a.rs:2", "a.rs:3", "b.rs:1", "b.rs:2", "b.rs:3"].map(|place| format!("src/http/{place}"));
    assert_eq!(broken(upward_imports, &files), [&seen[..], &["src/jobs/c.rs:2".to_owned()]].concat());
}

#[test]
fn adapters_that_meet_are_seen() {
    let files = [
        ("src/adapters/index/rows.rs", "use super::schema::Schema;\nuse super::super::store::Store;"),
        ("src/adapters/store/mod.rs", "use super::Opened;"),
        ("src/adapters/mod.rs", "pub use jwks::Opened;"),
        ("src/adapters/jwks.rs", "use crate::access::FetchJwks;"),
    ];
    assert_eq!(broken(adapters_that_meet, &files), ["src/adapters/index/rows.rs:2", "src/adapters/store/mod.rs:1"]);
}

#[test]
fn a_circle_of_stages_is_seen_and_a_chain_is_none() {
    let chain = [
        ("src/stages/a.rs", "use super::b::B;"),
        ("src/stages/b/mod.rs", "use crate::stages::c;"),
        ("src/stages/c.rs", ""),
    ];
    assert_eq!(broken(stages_in_a_circle, &chain), Vec::<String>::new());
    let circle =
        [chain[0], chain[1], ("src/stages/c.rs", "\nuse crate::stages::b::{B};"), ("src/stages/d.rs", "use super::a;")];
    assert_eq!(broken(stages_in_a_circle, &circle), ["src/stages/b/mod.rs:1", "src/stages/c.rs:2"]);
}

#[test]
fn upkeep_begun_for_a_request_is_seen() {
    let ways = [
        "fn f() { Upkeep::begin(); }",
        "fn f() { crate::access::Upkeep::begin(); }",
        "fn f() { <Upkeep>::begin(); }",
        "use crate::access::Upkeep as Pass;",
        "type Pass = Upkeep;",
    ];
    for text in ways {
        assert_eq!(broken(upkeep_begun_elsewhere, &[("src/http/search.rs", text)]), ["src/http/search.rs:1"], "{text}");
    }
    let rightly = [("src/jobs/runner.rs", ways[0]), ("src/flows/embed.rs", "#[cfg(test)] fn f() { Upkeep::begin(); }")];
    assert_eq!(broken(upkeep_begun_elsewhere, &rightly), Vec::<String>::new());
}

#[test]
fn the_environment_read_in_passing_is_seen() {
    let ways = [
        "fn f() { std::env::var(\"A\"); }",
        "use std::env::{self, var_os};",
        "use std::{env as e};",
        "fn f() { env::vars(); }",
    ];
    for text in ways {
        assert_eq!(
            broken(environment_read_elsewhere, &[("src/flows/embed.rs", text)]),
            ["src/flows/embed.rs:1"],
            "{text}"
        );
    }
    let rightly = [("src/config.rs", ways[0]), ("src/app.rs", "fn f() { std::env::temp_dir(); env!(\"A\"); }")];
    assert_eq!(broken(environment_read_elsewhere, &rightly), Vec::<String>::new());
}

#[test]
fn strange_modules_long_files_and_silent_ones_are_seen() {
    let long = format!("//! Long.\n{}", "\n".repeat(LONGEST_FILE));
    let files = [
        ("src/util.rs", "unsafe fn f() {}"),
        ("tests/long.rs", long.as_str()),
        ("src/lib.rs", "//! A.\n#[path = \"b.rs\"]\nmod c;"),
    ];
    assert_eq!(broken(unknown_modules, &files), ["src/util.rs", "src/lib.rs:2"]);
    assert_eq!(broken(unsafe_code, &files), ["src/util.rs:1"]);
    assert_eq!(broken(long_files, &files), ["tests/long.rs"]);
    assert_eq!(broken(files_without_a_job, &files), ["src/util.rs:1"]);
}
