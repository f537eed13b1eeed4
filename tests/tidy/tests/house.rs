//! Asks every rule of tidy about this project, as it lies on disk. Changes nothing; what a rule
//! catches is shown beside the rule, here only that this house keeps it.

use porthouse_tidy::{
    Complaint, code, direction, document, habit, header, manifest, migration, purity, size,
    tree::{self, File},
};
use std::{env, fmt::Write, path::Path, process::Command};

/// Rust files longer than the limit, with their lines. May only get shorter.
const LONG_FILES: size::LongFiles<'static> = &[];

/// Functions longer than clippy's limit that are excused. May only get fewer.
const LONG_FUNCTIONS: usize = 2;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn project() -> Vec<File> {
    let files = tree::files(root()).expect("the project can be read");
    assert!(
        files.iter().any(|file| file.path == "Cargo.toml"),
        "this is not the project's root"
    );
    files
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo runs this test, so it is there");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

#[track_caller]
fn holds(complaints: &[Complaint]) {
    let list = complaints
        .iter()
        .fold(String::new(), |mut list, complaint| {
            writeln!(list, "  {complaint}").expect("a string takes all");
            list
        });
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{list}",
        complaints.len()
    );
}

#[test]
fn the_pure_crates_are_built_on_no_runtime_and_no_transport() {
    for name in purity::PURE_CRATES {
        let tree = cargo(&[
            "tree",
            "--locked",
            "--package",
            name,
            "--edges",
            "normal",
            "--prefix",
            "none",
        ]);
        assert!(
            tree.starts_with(name),
            "cargo tree speaks of something else: {tree}"
        );
        holds(&purity::impure_dependencies(name, &tree));
    }
}

#[test]
fn the_pure_crates_name_no_clock_chance_thread_file_or_socket() {
    let files = project();
    let places = code::test_places(&files);
    for source in purity::PURE_SOURCES {
        let own: Vec<&File> = files
            .iter()
            .filter(|file| file.path.starts_with(source) && file.is_rust())
            .filter(|file| !code::is_test_only(&file.path, &places))
            .collect();
        assert!(!own.is_empty(), "{source} has no Rust");
        let complaints: Vec<_> = own
            .iter()
            .flat_map(|file| purity::impure_words(file))
            .collect();
        holds(&complaints);
    }
}

#[test]
fn dependencies_point_one_way() {
    let metadata = cargo(&["metadata", "--locked", "--no-deps", "--format-version", "1"]);
    let members = direction::members(&metadata).expect("cargo's own format");
    holds(&direction::wrong_ways(&members));
}

#[test]
fn every_file_says_first_what_it_owns() {
    holds(&header::silent_files(&project()));
}

#[test]
fn files_stay_short() {
    holds(&size::long_files(&project(), LONG_FILES));
}

#[test]
fn long_functions_are_excused_one_by_one_and_get_fewer() {
    holds(&size::long_functions(&project(), LONG_FUNCTIONS));
}

#[test]
fn the_shell_is_a_quarter_of_the_data_plane_at_most() {
    holds(&Vec::from_iter(size::heavy_shell(&project())));
}

#[test]
fn shipped_code_does_not_unwrap() {
    holds(&habit::unwraps(&project()));
}

#[test]
fn modules_are_named_for_what_is_in_them() {
    holds(&habit::modules_named_for_their_kind(&project()));
}

#[test]
fn a_silenced_lint_has_a_reason() {
    holds(&habit::silent_excuses(&project()));
}

#[test]
fn every_crate_takes_the_lints_of_the_house() {
    holds(&manifest::lax_manifests(&project()));
}

#[test]
fn every_migration_can_be_taken_back() {
    holds(&migration::one_way_migrations(&project()));
}

#[test]
fn links_lead_somewhere() {
    holds(&document::broken_links(&project()));
}

#[test]
fn nothing_points_outside_the_repository() {
    let files = project();
    holds(&document::machine_paths(&files));
    holds(&document::missing_documents(&files));
}

#[test]
fn what_is_said_to_be_shown_is_shown_by_tests_that_exist() {
    holds(&document::missing_tests(&project()));
}
