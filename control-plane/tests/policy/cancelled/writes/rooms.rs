//! Writes of rooms, of who may be there, of what leads there, and of guards.

use porthouse_api::control::v1 as control;

use super::{Ready, Scene, Write, mask, user};

use control::block_service_client::BlockServiceClient;
use control::endpoint_service_client::EndpointServiceClient;
use control::guard_service_client::GuardServiceClient;
use control::member_group_service_client::MemberGroupServiceClient;
use control::member_service_client::MemberServiceClient;
use control::room_door_service_client::RoomDoorServiceClient;
use control::room_service_client::RoomServiceClient;
use control::room_template_service_client::RoomTemplateServiceClient;

pub(crate) const OF_ROOMS: &[Write] = writes! {
    RoomServiceClient.create_room |_, name| control::CreateRoomRequest {
        room_id: name,
        password: "open sesame".into(),
        ..Default::default()
    };
    RoomServiceClient.update_room |scene, name| control::UpdateRoomRequest {
        room: Some(control::Room {
            name: room(scene, &name).await,
            rules: Some(rules()),
            ..Default::default()
        }),
        update_mask: Some(mask("rules")),
        validate_only: false,
    };
    RoomServiceClient.delete_room |scene, name| {
        member(scene, &name).await;
        control::DeleteRoomRequest { name: format!("rooms/{name}"), ..Default::default() }
    };
    RoomServiceClient.set_room_password |scene, name| control::SetRoomPasswordRequest {
        name: room(scene, &name).await,
        password: "open sesame".into(),
        ..Default::default()
    };
    RoomServiceClient.clear_room_password |scene, name| {
        let name = room(scene, &name).await;
        let set = control::SetRoomPasswordRequest {
            name: name.clone(),
            password: "open sesame".into(),
            ..Default::default()
        };
        scene.plane.rooms().set_room_password(set).await.expect("set");
        control::ClearRoomPasswordRequest { name, ..Default::default() }
    };
    RoomDoorServiceClient.set_room_code |scene, name| control::SetRoomCodeRequest {
        room: room(scene, &name).await,
        ..Default::default()
    };
    RoomDoorServiceClient.clear_room_code |scene, name| {
        let room = room(scene, &name).await;
        let set = control::SetRoomCodeRequest { room: room.clone(), ..Default::default() };
        scene.plane.doors().set_room_code(set).await.expect("set");
        control::ClearRoomCodeRequest { room, ..Default::default() }
    };
    RoomDoorServiceClient.set_room_hook |scene, name| hook(room(scene, &name).await);
    RoomDoorServiceClient.clear_room_hook |scene, name| {
        let room = room(scene, &name).await;
        scene.plane.doors().set_room_hook(hook(room.clone())).await.expect("set");
        control::ClearRoomHookRequest { room, ..Default::default() }
    };
    RoomDoorServiceClient.unlock_room |scene, name| control::UnlockRoomRequest {
        room: room(scene, &name).await,
    };
    RoomTemplateServiceClient.create_room_template |_, name| template(&name);
    RoomTemplateServiceClient.update_room_template |scene, name| {
        control::UpdateRoomTemplateRequest {
            room_template: Some(control::RoomTemplate {
                name: made_template(scene, &name).await,
                rules: Some(control::RoomRules::default()),
                ..Default::default()
            }),
            update_mask: Some(mask("rules")),
            validate_only: false,
        }
    };
    RoomTemplateServiceClient.delete_room_template |scene, name| {
        control::DeleteRoomTemplateRequest {
            name: made_template(scene, &name).await,
            ..Default::default()
        }
    };
    RoomTemplateServiceClient.set_room_template_password |scene, name| {
        template_password(made_template(scene, &name).await)
    };
    RoomTemplateServiceClient.clear_room_template_password |scene, name| {
        let name = made_template(scene, &name).await;
        let set = template_password(name.clone());
        let mut templates = scene.plane.room_templates();
        templates.set_room_template_password(set).await.expect("set");
        control::ClearRoomTemplatePasswordRequest { name, ..Default::default() }
    };
    MemberServiceClient.create_member |scene, name| {
        user(scene, &name).await;
        control::CreateMemberRequest {
            parent: room(scene, &name).await,
            user_id: name,
            ..Default::default()
        }
    };
    MemberServiceClient.update_member |scene, name| control::UpdateMemberRequest {
        member: Some(control::Member {
            name: member(scene, &name).await,
            role: "moderator".into(),
            ..Default::default()
        }),
        update_mask: Some(mask("role")),
        validate_only: false,
    };
    MemberServiceClient.delete_member |scene, name| control::DeleteMemberRequest {
        name: member(scene, &name).await,
..Default::default()
};
    MemberGroupServiceClient.create_member_group |scene, name| {
        labelled(scene, &name).await;
        group(room(scene, &name).await, name)
    };
    MemberGroupServiceClient.update_member_group |scene, name| control::UpdateMemberGroupRequest {
        member_group: Some(control::MemberGroup {
            name: made_group(scene, name).await,
            role: "moderator".into(),
            ..Default::default()
        }),
        update_mask: Some(mask("role")),
        validate_only: false,
    };
    MemberGroupServiceClient.delete_member_group |scene, name| control::DeleteMemberGroupRequest {
        name: made_group(scene, name).await,
    };
    BlockServiceClient.create_block |scene, name| block(room(scene, &name).await);
    BlockServiceClient.update_block |scene, name| control::UpdateBlockRequest {
        block: Some(control::Block {
            name: made_block(scene, &name).await,
            reason: "floods".into(),
            ..Default::default()
        }),
        update_mask: Some(mask("reason")),
        validate_only: false,
    };
    BlockServiceClient.delete_block |scene, name| control::DeleteBlockRequest {
        name: made_block(scene, &name).await,
    };
    EndpointServiceClient.create_endpoint |scene, name| {
        user(scene, &name).await;
        endpoint(&name)
    };
    EndpointServiceClient.update_endpoint |scene, name| control::UpdateEndpointRequest {
        endpoint: Some(control::Endpoint {
            name: made_endpoint(scene, &name).await,
            rooms: vec!["rooms/yard".into()],
            ..Default::default()
        }),
        update_mask: Some(mask("rooms")),
        validate_only: false,
    };
    EndpointServiceClient.delete_endpoint |scene, name| control::DeleteEndpointRequest {
        name: made_endpoint(scene, &name).await,
        ..Default::default()
    };
    GuardServiceClient.create_guard |scene, name| {
        closed_template(scene, &name).await;
        guard(name)
    };
    GuardServiceClient.update_guard |scene, name| control::UpdateGuardRequest {
        guard: Some(control::Guard {
            name: made_guard(scene, name).await,
            act: control::Act::Send.into(),
            ..Default::default()
        }),
        update_mask: Some(mask("act")),
        validate_only: false,
    };
    GuardServiceClient.delete_guard |scene, name| control::DeleteGuardRequest {
        name: made_guard(scene, name).await,
        ..Default::default()
    };
};

fn rules() -> control::RoomRules {
    control::RoomRules {
        messages: Some(control::MessageRules {
            bytes_max: Some(100),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn room(scene: &Scene, name: &str) -> String {
    scene.plane.create_room(name).await;
    format!("rooms/{name}")
}

async fn member(scene: &Scene, name: &str) -> String {
    user(scene, name).await;
    let request = control::CreateMemberRequest {
        parent: room(scene, name).await,
        user_id: name.to_owned(),
        ..Default::default()
    };
    let mut members = MemberServiceClient::new(scene.plane.admin_channel());
    let made = members.create_member(request).await.expect("a member");
    made.into_inner().member.expect("it").name
}

/// A user with a label of its own.
async fn labelled(scene: &Scene, name: &str) {
    let request = control::CreateUserRequest {
        user_id: name.to_owned(),
        user: Some(control::User {
            labels: [("team".to_owned(), name.to_owned())].into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = scene.plane.users().create_user(request).await;
    made.expect("a user");
}

fn group(parent: String, name: String) -> control::CreateMemberGroupRequest {
    control::CreateMemberGroupRequest {
        parent,
        member_group: Some(control::MemberGroup {
            label_key: "team".into(),
            label_value: name.clone(),
            ..Default::default()
        }),
        member_group_id: name,
        validate_only: false,
    }
}

async fn made_group(scene: &Scene, name: String) -> String {
    labelled(scene, &name).await;
    let request = group(room(scene, &name).await, name);
    let mut groups = MemberGroupServiceClient::new(scene.plane.admin_channel());
    let made = groups.create_member_group(request).await.expect("a group");
    made.into_inner().member_group.expect("it").name
}

fn hook(room: String) -> control::SetRoomHookRequest {
    control::SetRoomHookRequest {
        room,
        url: "http://127.0.0.1:8080".into(),
        ..Default::default()
    }
}

fn template(name: &str) -> control::CreateRoomTemplateRequest {
    control::CreateRoomTemplateRequest {
        room_template_id: format!("{name}:*"),
        room_template: Some(control::RoomTemplate {
            rules: Some(rules()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn made_template(scene: &Scene, name: &str) -> String {
    let mut templates = scene.plane.room_templates();
    let made = templates.create_room_template(template(name)).await;
    let made = made.expect("a template").into_inner();
    made.room_template.expect("it").name
}

fn template_password(name: String) -> control::SetRoomTemplatePasswordRequest {
    control::SetRoomTemplatePasswordRequest {
        name,
        password: "open sesame".into(),
        ..Default::default()
    }
}

fn block(parent: String) -> control::CreateBlockRequest {
    control::CreateBlockRequest {
        parent,
        block: Some(control::Block {
            subject: Some(control::block::Subject::AddressRange("192.0.2.0/24".into())),
            ..Default::default()
        }),
        validate_only: false,
    }
}

async fn made_block(scene: &Scene, name: &str) -> String {
    let mut blocks = scene.plane.blocks();
    let made = blocks.create_block(block(room(scene, name).await)).await;
    let made = made.expect("a block").into_inner();
    made.block.expect("it").name
}

fn endpoint(name: &str) -> control::CreateEndpointRequest {
    control::CreateEndpointRequest {
        endpoint_id: format!("@front.{name}"),
        endpoint: Some(control::Endpoint {
            owner: format!("users/{name}"),
            rooms: vec!["rooms/den".into()],
            access: control::EndpointAccess::Public.into(),
            ..Default::default()
        }),
        validate_only: false,
    }
}

async fn made_endpoint(scene: &Scene, name: &str) -> String {
    user(scene, name).await;
    let made = scene
        .plane
        .endpoints()
        .create_endpoint(endpoint(name))
        .await;
    let made = made.expect("an endpoint").into_inner();
    made.endpoint.expect("it").name
}

/// A template under whose rules only members do anything.
async fn closed_template(scene: &Scene, name: &str) {
    let mut create = template(name);
    create.room_template = Some(control::RoomTemplate {
        rules: Some(control::RoomRules {
            capabilities: Some(control::CapabilityRules {
                preset: control::Preset::Members.into(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    });
    let mut templates = scene.plane.room_templates();
    let made = templates.create_room_template(create).await;
    made.expect("a template");
}

fn guard(name: String) -> control::CreateGuardRequest {
    control::CreateGuardRequest {
        guard: Some(control::Guard {
            room_prefix: format!("{name}:*"),
            audience: control::GuardAudience::Anonymous.into(),
            act: control::Act::ReadHistory.into(),
            ..Default::default()
        }),
        guard_id: name,
        validate_only: false,
    }
}

async fn made_guard(scene: &Scene, name: String) -> String {
    closed_template(scene, &name).await;
    let mut guards = GuardServiceClient::new(scene.plane.admin_channel());
    let made = guards.create_guard(guard(name)).await;
    let made = made.expect("a guard").into_inner();
    made.guard.expect("it").name
}
