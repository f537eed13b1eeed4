//! Which template covers a name, as nodes are told: the longest prefix, after
//! each change.

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::change_item::Item;
use porthouse_api::node::v1::resolve_key::Key;
use porthouse_api::node::v1::resolved::Found;
use porthouse_api::node::v1::{ChangePayload, ResolveKey, ResolveRequest, Template};
use prost::Message as _;

use crate::plane::{Node, Plane};

fn rules(bytes_max: u32) -> control::RoomRules {
    control::RoomRules {
        messages: Some(control::MessageRules {
            bytes_max: Some(bytes_max),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn cover(plane: &Plane, prefix: &str, bytes_max: u32) -> i64 {
    let request = control::CreateRoomTemplateRequest {
        room_template_id: prefix.to_owned(),
        room_template: Some(control::RoomTemplate {
            rules: Some(rules(bytes_max)),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = plane.room_templates().create_room_template(request).await;
    made.expect("a template").into_inner().revision
}

async fn change(plane: &Plane, prefix: &str, bytes_max: u32) -> i64 {
    let request = control::UpdateRoomTemplateRequest {
        room_template: Some(control::RoomTemplate {
            name: format!("roomTemplates/{prefix}"),
            rules: Some(rules(bytes_max)),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["rules".to_owned()],
        }),
        validate_only: false,
    };
    let changed = plane.room_templates().update_room_template(request).await;
    changed.expect("there").into_inner().revision
}

async fn uncover(plane: &Plane, prefix: &str) -> i64 {
    let request = control::DeleteRoomTemplateRequest {
        name: format!("roomTemplates/{prefix}"),
        etag: String::new(),
        ..Default::default()
    };
    let gone = plane.room_templates().delete_room_template(request).await;
    gone.expect("there").into_inner().revision
}

/// By what each name is governed, a template or a room, and how long a message
/// there may be.
async fn governed(plane: &Plane, names: &[&str]) -> Vec<String> {
    let key = |name: &&str| ResolveKey {
        key: Some(Key::RoomName((*name).to_owned())),
    };
    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: 0,
        keys: names.iter().map(key).collect(),
    };
    let answer = plane.feed().resolve(request).await.expect("an answer");
    let resolved = answer.into_inner().resolved.into_iter();
    let by = resolved.map(|resolved| {
        if let Some(Found::Template(template)) = &resolved.found {
            let rules = template.rules.as_ref().expect("rules");
            format!("{} {}", template.prefix, rules.message_bytes_max)
        } else if let Some(Found::Room(_)) = &resolved.found {
            "a room".to_owned()
        } else {
            assert_eq!(resolved.found, None, "not asked for");
            "nothing".to_owned()
        }
    });
    by.collect()
}

/// What the next revision changed, in one word each.
async fn told(node: &mut Node) -> Vec<String> {
    let change = node.change().await.expect("a change");
    let payload = ChangePayload::decode(change.payload).expect("a payload");
    let items = payload.items.into_iter();
    let word = |item: Item| {
        let by = |template: Option<Template>| {
            template.map_or("nothing".to_owned(), |template| template.prefix)
        };
        if let Item::Template(template) = item {
            let rules = template.rules.expect("rules");
            format!("{} {}", template.prefix, rules.message_bytes_max)
        } else if let Item::TemplateGone(gone) = item {
            format!("{} gone, {}", gone.prefix, by(gone.next))
        } else if let Item::Room(room) = item {
            room.name
        } else if let Item::RoomGone(gone) = item {
            format!("{} gone, {}", gone.name, by(gone.template))
        } else {
            panic!("not changed: {item:?}")
        }
    };
    items
        .map(|item| word(item.item.expect("an item")))
        .collect()
}

#[tokio::test]
async fn a_name_is_covered_by_the_longest_prefix_unless_a_room_has_it() {
    let plane = Plane::start().await;
    let names = ["chat:free:a", "chat:a", "chat", "chat:free:b", "other"];
    assert_eq!(governed(&plane, &names).await, ["nothing"; 5]);
    cover(&plane, "chat:*", 10).await;
    cover(&plane, "chat:free:*", 20).await;
    plane.create_room("chat:free:b").await;
    assert_eq!(
        governed(&plane, &names).await,
        [
            "chat:free:* 20",
            "chat:* 10",
            "nothing",
            "a room",
            "nothing"
        ]
    );
    change(&plane, "chat:free:*", 30).await;
    assert_eq!(governed(&plane, &names).await[0], "chat:free:* 30");
    uncover(&plane, "chat:free:*").await;
    assert_eq!(governed(&plane, &names).await[0], "chat:* 10");
}

#[tokio::test]
async fn nodes_are_told_of_every_change_and_of_what_covers_from_then_on() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    cover(&plane, "chat:*", 10).await;
    cover(&plane, "chat:free:*", 20).await;
    assert_eq!(told(&mut node).await, ["chat:* 10"]);
    assert_eq!(told(&mut node).await, ["chat:free:* 20"]);
    change(&plane, "chat:*", 11).await;
    assert_eq!(told(&mut node).await, ["chat:* 11"]);

    plane.create_room("chat:free:a").await;
    assert_eq!(told(&mut node).await, ["chat:free:a"]);
    let delete = control::DeleteRoomRequest {
        name: "rooms/chat:free:a".to_owned(),
        ..Default::default()
    };
    plane.rooms().delete_room(delete).await.expect("there");
    assert_eq!(told(&mut node).await, ["chat:free:a gone, chat:free:*"]);

    uncover(&plane, "chat:free:*").await;
    assert_eq!(told(&mut node).await, ["chat:free:* gone, chat:*"]);
    uncover(&plane, "chat:*").await;
    assert_eq!(told(&mut node).await, ["chat:* gone, nothing"]);
}

/// What covers a name that is gone is read when the revision is given: a template
/// that changed meanwhile, and was told of before, is not told of as it was.
#[tokio::test]
async fn what_covers_is_never_told_older_than_it_was_told_before() {
    let plane = Plane::start().await;
    cover(&plane, "chat:*", 1).await;
    for name in 0..20 {
        plane.create_room(&format!("chat:{name}")).await;
    }
    let mut node = Node::watch(&plane, "a").await;
    let deletes = async {
        for name in 0..20 {
            let delete = control::DeleteRoomRequest {
                name: format!("rooms/chat:{name}"),
                ..Default::default()
            };
            plane.rooms().delete_room(delete).await.expect("there");
        }
    };
    let changes = async {
        for bytes_max in 2..=21 {
            change(&plane, "chat:*", bytes_max).await;
        }
    };
    tokio::join!(deletes, changes);
    let mut last = 1;
    for _ in 0..40 {
        let change = node.change().await.expect("a change");
        let payload = ChangePayload::decode(change.payload).expect("a payload");
        for item in payload.items {
            let template = if let Some(Item::RoomGone(gone)) = item.item {
                gone.template
            } else if let Some(Item::Template(template)) = item.item {
                Some(template)
            } else {
                None
            };
            let template = template.expect("all is covered");
            let now = template.rules.expect("rules").message_bytes_max;
            assert!(now >= last, "told {now} after {last}");
            last = now;
        }
    }
    assert_eq!(last, 21);
}

#[tokio::test]
async fn a_freeport_is_never_covered() {
    let plane = Plane::start().await;
    cover(&plane, "a*", 10).await;
    assert_eq!(
        governed(&plane, &["@ada", "ada"]).await,
        ["nothing", "a* 10"]
    );
}
