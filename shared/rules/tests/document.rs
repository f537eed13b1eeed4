//! `docs/rules.md` is held to the code: it names every refusal that a room's
//! rules can make, with its code. Never judges the prose.

use porthouse_model::Refused;

const DOCUMENT: &str = include_str!("../../../docs/rules.md");

/// What a room's rules are called; other refusals are a node's or a socket's.
const GROUPS: [&str; 14] = [
    "connection.",
    "entry.",
    "capabilities.",
    "messages.",
    "broadcast.",
    "visibility.",
    "life.",
    "staleness",
    "rules",
    "room",
    "kick",
    "block",
    "transient.makers",
    "socket_backlog_bytes_max",
];

/// Whether this is a rule of a room.
fn is_of_a_room(rule: &str) -> bool {
    GROUPS
        .iter()
        .any(|group| rule == *group || (group.ends_with('.') && rule.starts_with(group)))
}

#[test]
fn every_refusal_by_a_room_s_rule_is_documented_with_its_code() {
    let mut documented = 0;
    for refused in Refused::ALL {
        let (rule, code) = (refused.rule(), refused.code().0);
        if !is_of_a_room(rule) {
            continue;
        }
        let told =
            |line: &&str| line.contains(&format!("`{rule}`")) && line.contains(&code.to_string());
        let line = DOCUMENT.lines().find(told);
        assert!(
            line.is_some(),
            "{refused:?}: `{rule}` and {code} on one line"
        );
        documented += 1;
    }
    assert!(documented > 40, "they are found by their groups");
}

#[test]
fn no_rule_is_documented_that_refuses_nothing() {
    let words = DOCUMENT.split('`').skip(1).step_by(2);
    let rules = words.filter(|word| {
        let group = word.split_once('.').map_or("", |(group, _)| group);
        [
            "connection",
            "entry",
            "capabilities",
            "messages",
            "broadcast",
            "life",
        ]
        .contains(&group)
    });
    for rule in rules {
        let field = rule.contains('[')
            || [
                "connection.hours.zone",
                "connection.roles_allowed",
                "messages.format.json_schema",
            ]
            .contains(&rule);
        let known = Refused::ALL.iter().any(|refused| refused.rule() == rule);
        assert!(known || field, "{rule}");
    }
}
