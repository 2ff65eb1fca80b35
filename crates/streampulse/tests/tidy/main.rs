//! The house rules as a test: layering, sizes, headers, words, dependencies, licences, tables. One test per rule.
//!
//! Every rule is a pure function from text to complaints, and each has a test that shows it a bad snippet and sees it
//! complain. Reads the repository; never changes it. A complaint names the place, what is wrong and what to do instead.

mod dependencies;
mod layers;
mod licences;
mod modules;
mod repository;
mod rust;
mod sizes;
mod words;

use repository::Repository;

/// Fails with all complaints at once: a rule that shows one at a time makes for a long evening.
fn expect_none(rule: &str, complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{rule}: {} complaint(s)\n  {}\n", complaints.len(), complaints.join("\n  "));
}

#[test]
fn crates_depend_inward_only() {
    let repository = Repository::open();
    expect_none("layers", layers::check(&repository.manifests()));
}

#[test]
fn files_and_functions_stay_short() {
    let repository = Repository::open();
    let mut complaints = Vec::new();
    for file in repository.files() {
        complaints.extend(sizes::check_file(file));
        if file.is_rust() {
            let found = sizes::check_functions(file);
            for warning in &found.warnings {
                println!("note: {warning}");
            }
            complaints.extend(found.errors);
        }
    }
    expect_none("sizes", complaints);
}

#[test]
fn every_rust_file_says_what_it_owns() {
    let repository = Repository::open();
    let complaints =
        repository.files().iter().filter(|file| file.is_rust()).filter_map(modules::check_header).collect();
    expect_none("headers", complaints);
}

#[test]
fn every_rust_file_is_compiled() {
    let repository = Repository::open();
    expect_none("dead files", modules::check_reachable(repository.files()));
}

#[test]
fn unfinished_words_are_not_committed() {
    let repository = Repository::open();
    expect_none("words", repository.files().iter().flat_map(words::check_words).collect());
}

#[test]
fn nothing_outside_tests_may_panic_on_a_whim() {
    let repository = Repository::open();
    expect_none(
        "unwrap",
        repository.files().iter().filter(|file| file.is_rust()).flat_map(words::check_unwrap).collect(),
    );
}

#[test]
fn every_dependency_has_a_reason() {
    let repository = Repository::open();
    expect_none("reasons", dependencies::check_reasons(&repository.read("Cargo.toml")));
}

#[test]
fn no_dependency_is_built_twice() {
    let repository = Repository::open();
    expect_none(
        "doubled dependencies",
        dependencies::check_doubles(&repository.built_packages(), dependencies::DOUBLES),
    );
}

#[test]
fn banned_packages_are_not_built() {
    let repository = Repository::open();
    expect_none("banned packages", dependencies::check_banned(&repository.built_packages()));
}

#[test]
fn licences_are_on_the_list() {
    let repository = Repository::open();
    expect_none("licences", licences::check(&repository.built_packages()));
}

#[test]
fn every_kind_is_in_its_table() {
    let repository = Repository::open();
    for folder in ["crates/probe/src/kinds", "crates/sink/src/channels"] {
        let (names, table) = (repository.rust_files_in(folder), repository.read(&format!("{folder}.rs")));
        expect_none("kinds", modules::check_table(folder, &names, &table));
    }
}

#[test]
fn every_fuzz_target_can_be_built() {
    let repository = Repository::open();
    let names = repository.rust_files_in("fuzz/fuzz_targets");
    expect_none("fuzz targets", modules::check_fuzz_targets(&names, &repository.read("fuzz/Cargo.toml")));
}
