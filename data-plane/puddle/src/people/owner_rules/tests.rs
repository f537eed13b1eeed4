//! Promises of what an owner may set.

use super::*;
use porthouse_model::MessageRules;

fn all() -> BTreeSet<OwnerRule> {
    OwnerRule::ALL.into()
}

fn wished(payload: &str) -> Result<RoomRules, OwnerRuleFault> {
    let rules = RoomRules::default();
    let rules = wish(payload.as_bytes(), &rules, &rules, &all());
    rules.map(|rules| rules.source().clone())
}

fn fault(payload: &str) -> &'static str {
    wished(payload).expect_err("it cannot be had").rule
}

#[test]
fn an_owner_sets_some_rules_and_the_others_stay() {
    let rules = wished(
        r#"{"audience":"users","approval":true,"content":"text","bytes_max":100,
            "capabilities":{"anonymous":["see","join"]},"presence":"identities"}"#,
    )
    .expect("within bounds");
    assert_eq!(rules.connection.audience, Audience::Users);
    assert_eq!(rules.entry.steps, [EntryStep::Approval]);
    assert_eq!(rules.messages.content, Content::Text);
    assert_eq!(rules.messages.bytes_max, 100);
    let listen = Acts::NONE.with(Act::See).with(Act::Join);
    assert_eq!(rules.capabilities.anonymous, listen);
    assert_eq!(rules.capabilities.user, Acts::TALK);
    assert_eq!(rules.presence.shown, Shown::Identities);

    let approval = br#"{"approval":false}"#;
    let after = wish(approval, &rules, &RoomRules::default(), &all());
    let after = after.expect("within bounds");
    assert_eq!(after.source().entry.steps, []);
    assert_eq!(after.source().messages.bytes_max, 100);
}

#[test]
fn an_owner_gives_nobody_more_than_the_node_does() {
    let node = RoomRules {
        messages: MessageRules {
            content: Content::Text,
            bytes_max: 100,
            ..MessageRules::default()
        },
        ..RoomRules::default()
    };
    for (payload, rule) in [
        (r#"{"content":"any"}"#, "rules.content"),
        (r#"{"bytes_max":101}"#, "rules.bytes_max"),
        (r#"{"bytes_max":0}"#, "rules.bytes_max"),
        (
            r#"{"capabilities":{"user":["kick"]}}"#,
            "rules.capabilities",
        ),
    ] {
        let refused = wish(payload.as_bytes(), &node, &node, &all());
        assert_eq!(refused.expect_err("too much").rule, rule, "{payload}");
    }
    let mut users = RoomRules::default();
    users.connection.audience = Audience::Users;
    let refused = wish(br#"{"audience":"anyone"}"#, &users, &users, &all());
    assert_eq!(refused.expect_err("too much").rule, "rules.audience");
}

#[test]
fn what_the_node_keeps_to_itself_is_named() {
    let rules = RoomRules::default();
    let some = BTreeSet::from([OwnerRule::Presence]);
    let presence = wish(br#"{"presence":"counts"}"#, &rules, &rules, &some);
    assert!(presence.is_ok());
    let both = br#"{"presence":"counts","approval":true}"#;
    let refused = wish(both, &rules, &rules, &some).expect_err("not allowed");
    assert_eq!(refused.rule, "rules.approval");
}

#[test]
fn what_is_no_such_object_is_refused() {
    for payload in [
        "",
        "[]",
        "null",
        r#"{"password":"x"}"#,
        r#"{"bytes_max":-1}"#,
    ] {
        assert_eq!(fault(payload), "rules", "{payload}");
    }
}
