//! Rules are compiled before anything is locked: who sends rules that cannot be,
//! or take long, holds up nobody.

use std::time::Duration;

use porthouse_api::control::v1 as control;
use tokio::time::timeout;
use tonic::Code;

use crate::plane::Plane;

fn format() -> control::RoomRules {
    let format = control::MessageFormat {
        kind: Some(control::message_format::Kind::JsonSchema(
            r#"{"type": 7}"#.to_owned(),
        )),
    };
    let messages = control::MessageRules {
        format: Some(format),
        ..control::MessageRules::default()
    };
    control::RoomRules {
        messages: Some(messages),
        ..control::RoomRules::default()
    }
}

fn mask() -> prost_types::FieldMask {
    prost_types::FieldMask {
        paths: vec!["rules.messages.format".to_owned()],
    }
}

#[tokio::test]
async fn rules_that_cannot_be_are_refused_while_their_room_is_locked() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    let template = control::CreateRoomTemplateRequest {
        room_template_id: "chat:*".to_owned(),
        ..control::CreateRoomTemplateRequest::default()
    };
    let made = plane.room_templates().create_room_template(template).await;
    made.expect("a template is made");
    let mut client = plane.cluster.connect().await;
    let held = client.transaction().await.expect("it begins");
    let lock = "LOCK TABLE rooms, room_templates IN ROW EXCLUSIVE MODE;
                SELECT 1 FROM rooms FOR UPDATE; SELECT 1 FROM room_templates FOR UPDATE";
    held.batch_execute(lock).await.expect("locked");

    let room = control::UpdateRoomRequest {
        room: Some(control::Room {
            name: "rooms/lobby".to_owned(),
            rules: Some(format()),
            ..control::Room::default()
        }),
        update_mask: Some(mask()),
        ..control::UpdateRoomRequest::default()
    };
    let template = control::UpdateRoomTemplateRequest {
        room_template: Some(control::RoomTemplate {
            name: "roomTemplates/chat:*".to_owned(),
            rules: Some(format()),
            ..control::RoomTemplate::default()
        }),
        update_mask: Some(mask()),
        ..control::UpdateRoomTemplateRequest::default()
    };
    let (mut rooms, mut templates) = (plane.rooms(), plane.room_templates());
    let refused = async {
        let room = rooms.update_room(room).await.err();
        let template = templates.update_room_template(template).await.err();
        [room, template].map(|status| status.map(|status| status.code()))
    };
    let refused = timeout(Duration::from_mins(1), refused).await;
    let bad = Some(Code::InvalidArgument);
    assert_eq!(refused.expect("no lock is waited for"), [bad, bad]);
    held.rollback().await.expect("let go");
}
