//! Which crate of ours may depend on which. Reads what `cargo metadata` says, test dependencies
//! included; never follows crates that are not ours. The planes do not know each other: they meet
//! in the gRPC definitions, and in the program that starts them.

use crate::Complaint;
use serde_json::Value;

/// A crate of the workspace and those of ours it names in its manifest, for any purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As in its manifest.
    pub name: String,
    /// Names of crates of this workspace, sorted, each once.
    pub depends_on: Vec<String>,
}

/// For each crate, the crates of ours it may name. One that is missing here may not exist.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("porthouse-model", &[]),
    ("porthouse-rules", &["porthouse-model"]),
    ("porthouse-api", &["porthouse-model"]),
    ("porthouse-process", &[]),
    ("porthouse-jwt", &["porthouse-model"]),
    ("porthouse-puddle", &["porthouse-model", "porthouse-rules"]),
    (
        "porthouse-control",
        &[
            "porthouse-api",
            "porthouse-jwt",
            "porthouse-model",
            "porthouse-process",
            "porthouse-rules",
        ],
    ),
    (
        "porthouse-node",
        &[
            "porthouse-api",
            "porthouse-model",
            "porthouse-process",
            "porthouse-puddle",
            "porthouse-rules",
        ],
    ),
    (
        "porthouse",
        &[
            "porthouse-api",
            "porthouse-control",
            "porthouse-load",
            "porthouse-model",
            "porthouse-node",
            "porthouse-process",
            "porthouse-rules",
        ],
    ),
    ("porthouse-load", &[]),
    ("porthouse-tidy", &[]),
    (
        "porthouse-sim",
        &["porthouse-model", "porthouse-puddle", "porthouse-rules"],
    ),
    (
        "porthouse-e2e",
        &["porthouse-api", "porthouse-model", "porthouse-sim"],
    ),
    ("porthouse-benches", &["porthouse-api", "porthouse-load"]),
    ("porthouse-counts", &["porthouse-model", "porthouse-puddle"]),
];

/// The members that `cargo metadata --no-deps --format-version 1` lists.
///
/// # Errors
///
/// What is missing, if the text is not such an answer.
pub fn members(metadata: &str) -> Result<Vec<Member>, String> {
    let metadata: Value = serde_json::from_str(metadata).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array().ok_or("no `packages`")?;
    let name_of = |value: &Value| value["name"].as_str().map(str::to_owned).ok_or("no `name`");
    let names = packages
        .iter()
        .map(name_of)
        .collect::<Result<Vec<_>, _>>()?;
    let mut members = Vec::with_capacity(packages.len());
    for (package, name) in packages.iter().zip(&names) {
        let dependencies = package["dependencies"]
            .as_array()
            .ok_or("no `dependencies`")?;
        let mut depends_on = dependencies
            .iter()
            .map(name_of)
            .collect::<Result<Vec<_>, _>>()?;
        depends_on.retain(|dependency| names.contains(dependency));
        depends_on.sort_unstable();
        depends_on.dedup();
        members.push(Member {
            name: name.clone(),
            depends_on,
        });
    }
    Ok(members)
}

/// Complaints about dependencies that point the wrong way.
#[must_use]
pub fn wrong_ways(members: &[Member]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for Member { name, depends_on } in members {
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
            complaints.push(Complaint::new(
                name,
                0,
                "is new: say in tests/tidy what it may depend on",
            ));
            continue;
        };
        let wrong = depends_on
            .iter()
            .filter(|dependency| !allowed.contains(&dependency.as_str()));
        complaints.extend(wrong.map(|dependency| {
            Complaint::new(
                name,
                0,
                format!("may not depend on {dependency}; it may on {allowed:?}"),
            )
        }));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::{Member, members, wrong_ways};

    fn member(name: &str, depends_on: &[&str]) -> Member {
        let depends_on = depends_on.iter().map(|&name| name.to_owned()).collect();
        Member {
            name: name.to_owned(),
            depends_on,
        }
    }

    #[test]
    fn planes_that_import_each_other_are_caught() {
        assert_eq!(
            wrong_ways(&[member("porthouse-node", &["porthouse-control"])]).len(),
            1
        );
        assert_eq!(
            wrong_ways(&[member("porthouse-control", &["porthouse-puddle"])]).len(),
            1
        );
    }

    #[test]
    fn a_core_that_looks_up_is_caught() {
        assert_eq!(
            wrong_ways(&[member("porthouse-puddle", &["porthouse-process"])]).len(),
            1
        );
        assert_eq!(
            wrong_ways(&[member("porthouse-model", &["porthouse-rules"])]).len(),
            1
        );
    }

    #[test]
    fn a_crate_nobody_placed_is_caught() {
        assert_eq!(wrong_ways(&[member("porthouse-extras", &[])]).len(), 1);
    }

    #[test]
    fn the_way_down_is_free() {
        assert!(wrong_ways(&[member("porthouse-puddle", &["porthouse-model"])]).is_empty());
    }

    #[test]
    fn test_dependencies_count_and_foreign_ones_do_not() {
        let metadata = r#"{"packages": [
            {"name": "porthouse-model", "dependencies": [{"name": "serde", "kind": null}]},
            {"name": "porthouse-rules", "dependencies": [
                {"name": "porthouse-model", "kind": null},
                {"name": "porthouse-model", "kind": "dev"}]}]}"#;
        let expected = [
            member("porthouse-model", &[]),
            member("porthouse-rules", &["porthouse-model"]),
        ];
        assert_eq!(members(metadata).expect("well formed"), expected);
        assert!(members("{}").is_err());
    }
}
