//! Links between documents lead somewhere, and no file points outside the repository: at a machine
//! it was written on, or at a document that only its author had. Never fetches an address.

use crate::Complaint;
use crate::tree::File;
use std::collections::BTreeSet;

/// Where people's and build machines' checkouts live. Split, or this file would break its own rule.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
];

/// The one directory name that exists both inside the repository and beside some checkouts of it.
const BESIDE: &str = concat!("../sha", "red");

/// Complaints about relative links in Markdown whose file or heading does not exist.
#[must_use]
pub fn broken_links(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        for (line, target) in links(&file.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let place = if path.is_empty() {
                Some(file.path.clone())
            } else {
                resolve(&file.path, path)
            };
            let found = place.filter(|place| exists(files, place));
            let problem = match found {
                None => Some(format!("links to `{path}`, which does not exist")),
                Some(place) if !has_heading(files, &place, heading) => {
                    Some(format!("links to `{target}`, where no such heading is"))
                }
                Some(_) => None,
            };
            complaints.extend(problem.map(|message| Complaint::new(&file.path, line, message)));
        }
    }
    complaints
}

/// Complaints about paths that only exist on one machine.
#[must_use]
pub fn machine_paths(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(found) = MACHINE_PATHS.iter().find(|path| begins_a_path(line, path)) {
                let message = format!("names `{found}…`, which exists on one machine only");
                complaints.push(Complaint::new(&file.path, number + 1, message));
            }
            if leaves_the_repository(files, &file.path, line) {
                let message = format!("points at `{BESIDE}`, which is outside the repository");
                complaints.push(Complaint::new(&file.path, number + 1, message));
            }
        }
    }
    complaints
}

/// Complaints about tests that a table says something is `shown by`, and that are nowhere.
#[must_use]
pub fn missing_tests(files: &[File]) -> Vec<Complaint> {
    let code = files.iter().filter(|file| file.has_extension("rs"));
    let defined: BTreeSet<&str> = code.flat_map(|file| functions(&file.text)).collect();
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        let mut shown = false;
        for (number, line) in file.text.lines().enumerate() {
            let cells = line.strip_prefix('|').and_then(|row| row.strip_suffix('|'));
            let last = cells
                .and_then(|cells| cells.rsplit('|').next())
                .map(str::trim);
            shown = last.is_some_and(|last| shown || last == "shown by");
            let names = last
                .filter(|_| shown)
                .unwrap_or_default()
                .split('`')
                .skip(1)
                .step_by(2);
            for name in names.filter(|name| !defined.contains(name)) {
                let message = format!("names the test `{name}`, which does not exist");
                complaints.push(Complaint::new(&file.path, number + 1, message));
            }
        }
    }
    complaints
}

/// The names of the functions in some code.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter_map(|line| line.split_once("fn "));
    lines.map(|(_, rest)| rest.split(['(', '<']).next().unwrap_or_default())
}

/// Complaints about documents that are named in text or comments and are not in the repository.
#[must_use]
pub fn missing_documents(files: &[File]) -> Vec<Complaint> {
    let names: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.rsplit('/').next())
        .collect();
    let mut complaints = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            for word in
                line.split(|sign: char| !(sign.is_ascii_alphanumeric() || "/_.-:".contains(sign)))
            {
                let word = word.trim_end_matches(['.', ':']);
                let name = word.rsplit('/').next().unwrap_or(word);
                let is_document = name
                    .strip_suffix(".md")
                    .is_some_and(|stem| !stem.is_empty())
                    && !word.contains("://");
                if is_document && !names.contains(name) {
                    let message = format!("names `{word}`, which is not in the repository");
                    complaints.push(Complaint::new(&file.path, number + 1, message));
                }
            }
        }
    }
    complaints
}

/// Targets of `[text](target)` with their lines, outside code.
fn links(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_fence = false;
    for (number, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        if in_fence {
            continue;
        }
        // Every second piece between backticks is code.
        for prose in line.split('`').step_by(2) {
            for after in prose.split("](").skip(1) {
                if let Some((target, _)) = after.split_once(')') {
                    found.push((number + 1, target));
                }
            }
        }
    }
    found
}

/// Where `target` leads from the file at `from`; nothing if it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn exists(files: &[File], place: &str) -> bool {
    let directory = format!("{place}/");
    place.is_empty()
        || files
            .iter()
            .any(|file| file.path == place || file.path.starts_with(&directory))
}

fn has_heading(files: &[File], place: &str, heading: &str) -> bool {
    let is_markdown = |file: &&File| file.path == place && file.has_extension("md");
    let Some(file) = files.iter().find(is_markdown) else {
        return true;
    };
    heading.is_empty()
        || file
            .text
            .lines()
            .filter(|line| line.starts_with('#'))
            .any(|line| anchor(line) == heading)
}

/// The name a heading gets as a link target.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign))
        .map(|sign| {
            if sign == ' ' {
                '-'
            } else {
                sign.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Whether `path` begins an absolute path in this line, and is not the middle of a longer one.
fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|sign| !(sign.is_alphanumeric() || "-_./}~".contains(sign)))
    })
}

fn leaves_the_repository(files: &[File], from: &str, line: &str) -> bool {
    line.match_indices(BESIDE).any(|(at, _)| {
        let start = line[..at]
            .rfind(|sign: char| sign != '.' && sign != '/')
            .map_or(0, |found| found + 1);
        let end = line[at..]
            .find(|sign: char| !(sign.is_ascii_alphanumeric() || "/_.-".contains(sign)))
            .map_or(line.len(), |found| at + found);
        let target = line[start..end].trim_end_matches('.');
        resolve(from, target).is_none_or(|place| !exists(files, &place))
    })
}

#[cfg(test)]
mod tests {
    use super::{BESIDE, broken_links, machine_paths, missing_documents, missing_tests};
    use crate::tree::File;

    const DOCUMENT: &str = "docs/CONTRIBUTING.md";

    fn project(text: &str) -> Vec<File> {
        vec![
            File::new(DOCUMENT, text),
            File::new("shared/model/src/lib.rs", "//! Words."),
            File::new("docs/CHANGELOG.md", "# Changes\n\n## At `most`, and how\n"),
        ]
    }

    #[test]
    fn a_link_that_leads_nowhere_is_caught() {
        let complaints = |text| broken_links(&project(text)).len();
        assert_eq!(
            complaints("[a](gone.rs) and [b](../../x) and [c](../migrations)"),
            3
        );
        assert_eq!(
            complaints("[a](CHANGELOG.md) [b](../docs) [c](https://example.com/x)"),
            0
        );
        assert_eq!(complaints("```\n[a](gone.rs)\n```\n`[a](gone.rs)`"), 0);
        assert_eq!(complaints("[`a`](gone.rs)"), 1);
    }

    #[test]
    fn a_link_to_a_missing_heading_is_caught() {
        let complaints = |text| broken_links(&project(text)).len();
        assert_eq!(complaints("[a](CHANGELOG.md#none)\n[b](#none)"), 2);
        assert_eq!(
            complaints("# Here\n[a](CHANGELOG.md#at-most-and-how) [b](#here)"),
            0
        );
    }

    #[test]
    fn a_test_that_is_said_to_show_something_and_is_not_there_is_caught() {
        let complaints = |rows: &str| {
            let mut files = project(&format!("| a | shown by |\n|---|---|\n{rows}"));
            let code = "async fn it_holds() {}\nfn so_does<T>() {}";
            files.push(File::new("tests/holds.rs", code));
            missing_tests(&files).len()
        };
        assert_eq!(complaints("| x | `it_holds`, `so_does` |"), 0);
        assert_eq!(complaints("| x | `it_holds`, `it_is_gone` |\n\n`prose`"), 1);
    }

    #[test]
    fn a_path_of_one_machine_is_caught() {
        let complaints = |text: &str| machine_paths(&project(text)).len();
        assert_eq!(complaints(concat!("see `/ho", "me/sana/porthouse`")), 1);
        assert_eq!(complaints(concat!("/wo", "rk/main is it")), 1);
        assert_eq!(
            complaints(concat!(
                "GET /net/wo",
                "rk/ and https://example.com/ho",
                "me/"
            )),
            0
        );
    }

    #[test]
    fn a_path_beside_the_repository_is_caught() {
        let complaints = |text: &str| machine_paths(&project(text)).len();
        assert_eq!(complaints(&format!("see {BESIDE}/plan for more")), 1);
        assert_eq!(complaints(&format!("see ../{BESIDE}/model")), 1);
        assert_eq!(complaints(&format!("see [model]({BESIDE}/model/src).")), 0);
    }

    #[test]
    fn a_document_that_nobody_else_has_is_caught() {
        let complaints = |text: &str| missing_documents(&project(text)).len();
        assert_eq!(
            complaints(concat!("as the plan.", "md says; see notes/x.", "md.")),
            2
        );
        assert_eq!(complaints("see CHANGELOG.md, or docs/CHANGELOG.md."), 0);
        assert_eq!(complaints(concat!("https://example.com/plan.", "md")), 0);
    }
}
