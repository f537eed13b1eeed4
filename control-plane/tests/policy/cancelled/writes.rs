//! Every call of control.v1 that writes, and what must be there before it. Each is made
//! for a name that nothing else has.

use futures_util::future::BoxFuture;
use porthouse_api::control::v1 as control;
use prost_types::FieldMask;
use tonic::Status;
use totp_rs::Totp;

use super::{Here, Scene};
use crate::second_factor::{STEP, app, code, code_after};

use control::api_key_service_client::ApiKeyServiceClient;
use control::block_service_client::BlockServiceClient;
use control::device_token_service_client::DeviceTokenServiceClient;
use control::endpoint_service_client::EndpointServiceClient;
use control::issuer_service_client::IssuerServiceClient;
use control::member_service_client::MemberServiceClient;
use control::node_service_client::NodeServiceClient;
use control::room_door_service_client::RoomDoorServiceClient;
use control::room_service_client::RoomServiceClient;
use control::room_template_service_client::RoomTemplateServiceClient;
use control::second_factor_service_client::SecondFactorServiceClient;
use control::session_service_client::SessionServiceClient;
use control::user_service_client::UserServiceClient;

pub(crate) type Call = BoxFuture<'static, Result<(), Status>>;
/// Makes the call, as often as it is asked to.
pub(crate) type Ready = Box<dyn Fn(Here) -> Call + Send>;

/// A call that writes.
pub(crate) struct Write {
    pub(crate) method: &'static str,
    /// Makes what the call needs, and the call ready.
    pub(crate) ready: for<'a> fn(&'a Scene, String) -> BoxFuture<'a, Ready>,
}

const PASSWORD: &str = "correct horse";

macro_rules! writes {
    ($($client:ident . $method:ident |$scene:pat_param, $name:pat_param| $request:expr;)*) => {
        &[$(Write {
            method: stringify!($method),
            ready: |$scene, $name| Box::pin(async move {
                let request = $request;
                let ready: Ready = Box::new(move |here| {
                    let request = request.clone();
                    Box::pin(async move {
                        let made = $client::new(here).$method(request).await;
                        made.map(drop)
                    })
                });
                ready
            }),
        }),*]
    };
}

pub(crate) const OF_USERS: &[Write] = writes! {
    UserServiceClient.create_user |_, name| control::CreateUserRequest {
        user_id: name,
        password: PASSWORD.into(),
        ..Default::default()
    };
    UserServiceClient.update_user |scene, name| control::UpdateUserRequest {
        user: Some(control::User {
            name: user(scene, &name).await,
            display_name: "Somebody".into(),
            ..Default::default()
        }),
        update_mask: Some(mask("display_name")),
        validate_only: false,
    };
    UserServiceClient.delete_user |scene, name| control::DeleteUserRequest {
        name: signed_in(scene, &name).await.user,
        ..Default::default()
    };
    UserServiceClient.set_password |scene, name| control::SetPasswordRequest {
        name: signed_in(scene, &name).await.user,
        password: "battery staple".into(),
        ..Default::default()
    };
    UserServiceClient.disable_user |scene, name| control::DisableUserRequest {
        name: signed_in(scene, &name).await.user,
        ..Default::default()
    };
    UserServiceClient.enable_user |scene, name| {
        let name = user(scene, &name).await;
        let disable = control::DisableUserRequest { name: name.clone(), ..Default::default() };
        scene.plane.users().disable_user(disable).await.expect("disabled");
        control::EnableUserRequest { name, ..Default::default() }
    };
    UserServiceClient.unlock_user |scene, name| control::UnlockUserRequest {
        name: user(scene, &name).await,
    };
    ApiKeyServiceClient.create_api_key |_, name| control::CreateApiKeyRequest {
        api_key: Some(api_key(name)),
    };
    ApiKeyServiceClient.rotate_api_key |scene, name| control::RotateApiKeyRequest {
        name: made_api_key(scene, name).await,
        ..Default::default()
    };
    ApiKeyServiceClient.delete_api_key |scene, name| control::DeleteApiKeyRequest {
        name: made_api_key(scene, name).await,
    };
    DeviceTokenServiceClient.create_device_token |scene, name| {
        control::CreateDeviceTokenRequest {
            device_token: Some(device_token(user(scene, &name).await)),
            validate_only: false,
        }
    };
    DeviceTokenServiceClient.update_device_token |scene, name| {
        control::UpdateDeviceTokenRequest {
            device_token: Some(control::DeviceToken {
                name: made_device_token(scene, &name).await,
                rooms: vec!["rooms/yard".into()],
                ..Default::default()
            }),
            update_mask: Some(mask("rooms")),
            validate_only: false,
        }
    };
    DeviceTokenServiceClient.delete_device_token |scene, name| {
        control::DeleteDeviceTokenRequest {
            name: made_device_token(scene, &name).await,
            ..Default::default()
        }
    };
    IssuerServiceClient.create_issuer |_, name| issuer(name);
    IssuerServiceClient.update_issuer |scene, name| control::UpdateIssuerRequest {
        issuer: Some(control::Issuer {
            name: made_issuer(scene, name).await,
            disabled: true,
            ..Default::default()
        }),
        update_mask: Some(mask("disabled")),
        validate_only: false,
    };
    IssuerServiceClient.delete_issuer |scene, name| control::DeleteIssuerRequest {
        name: made_issuer(scene, name).await,
        ..Default::default()
    };
    NodeServiceClient.delete_node |scene, name| {
        let gone = "INSERT INTO nodes (name, incarnation, lease_until)
            VALUES ($1, decode(repeat('00', 16), 'hex'), now())";
        scene.database.execute(gone, &[&name]).await.expect("a node");
        control::DeleteNodeRequest { name: format!("nodes/{name}") }
    };
};

pub(crate) const OF_SESSIONS: &[Write] = writes! {
    SessionServiceClient.create_session |scene, name| {
        user(scene, &name).await;
        sign_in(name)
    };
    SessionServiceClient.complete_session |scene, name| {
        let factor = factor(scene, &name).await;
        let begun = scene.plane.sessions().create_session(sign_in(name)).await;
        let waits = begun.expect("the right password").into_inner().second_factor_challenge;
        control::CompleteSessionRequest {
            challenge: waits.expect("a challenge").challenge,
            code: code_after(&factor.app, STEP),
        }
    };
    SessionServiceClient.create_user_session |scene, name| control::CreateUserSessionRequest {
        user: user(scene, &name).await,
        ..Default::default()
    };
    SessionServiceClient.create_ticket |scene, name| control::CreateTicketRequest {
        session: signed_in(scene, &name).await.session,
        origin: String::new(),
        path: "/".into(),
    };
    SessionServiceClient.revoke_session |scene, name| control::RevokeSessionRequest {
        name: signed_in(scene, &name).await.session,
    };
    SessionServiceClient.revoke_all_sessions |scene, name| control::RevokeAllSessionsRequest {
        user: signed_in(scene, &name).await.user,
    };
    SecondFactorServiceClient.begin_totp |scene, name| control::BeginTotpRequest {
        user: user(scene, &name).await,
    };
    SecondFactorServiceClient.confirm_totp |scene, name| {
        let app = begun(scene, &name).await;
        control::ConfirmTotpRequest { user: format!("users/{name}"), code: code(&app) }
    };
    SecondFactorServiceClient.disable_totp |scene, name| control::DisableTotpRequest {
        user: factor(scene, &name).await.holder.user,
        code: String::new(),
    };
    SecondFactorServiceClient.regenerate_recovery_codes |scene, name| {
        let factor = factor(scene, &name).await;
        control::RegenerateRecoveryCodesRequest {
            user: factor.holder.user,
            code: code_after(&factor.app, STEP),
        }
    };
    SecondFactorServiceClient.show_second_factor |scene, name| {
        let factor = factor(scene, &name).await;
        control::ShowSecondFactorRequest {
            session: factor.holder.session,
            code: code_after(&factor.app, STEP),
        }
    };
};

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
};

fn mask(path: &str) -> FieldMask {
    FieldMask {
        paths: vec![path.to_owned()],
    }
}

/// A user with a session.
struct Holder {
    user: String,
    session: String,
}

/// One with a second factor.
struct Factor {
    holder: Holder,
    app: Totp,
}

async fn user(scene: &Scene, name: &str) -> String {
    let request = control::CreateUserRequest {
        user_id: name.to_owned(),
        password: PASSWORD.into(),
        ..Default::default()
    };
    let made = scene.plane.users().create_user(request).await;
    let made = made.expect("a user").into_inner();
    made.user.expect("it").name
}

fn sign_in(name: String) -> control::CreateSessionRequest {
    control::CreateSessionRequest {
        username: name,
        password: PASSWORD.into(),
        ..Default::default()
    }
}

async fn signed_in(scene: &Scene, name: &str) -> Holder {
    let user = user(scene, name).await;
    let mut sessions = scene.plane.sessions();
    let opened = sessions.create_session(sign_in(name.into())).await;
    let session = opened.expect("a session").into_inner().session;
    Holder {
        user,
        session: session.expect("it").name,
    }
}

/// What shows the codes of a secret of which none was confirmed yet.
async fn begun(scene: &Scene, name: &str) -> Totp {
    let user = user(scene, name).await;
    let begin = control::BeginTotpRequest { user };
    let made = scene.plane.second_factors().begin_totp(begin).await;
    app(&made.expect("begun").into_inner().secret)
}

async fn factor(scene: &Scene, name: &str) -> Factor {
    let holder = signed_in(scene, name).await;
    let begin = control::BeginTotpRequest {
        user: holder.user.clone(),
    };
    let made = scene.plane.second_factors().begin_totp(begin).await;
    let app = app(&made.expect("begun").into_inner().secret);
    let confirm = control::ConfirmTotpRequest {
        user: holder.user.clone(),
        code: code(&app),
    };
    let confirmed = scene.plane.second_factors().confirm_totp(confirm).await;
    confirmed.expect("enabled");
    Factor { holder, app }
}

fn api_key(name: String) -> control::ApiKey {
    control::ApiKey {
        display_name: name,
        scopes: vec!["live".into()],
        ..Default::default()
    }
}

async fn made_api_key(scene: &Scene, name: String) -> String {
    let request = control::CreateApiKeyRequest {
        api_key: Some(api_key(name)),
    };
    let mut keys = ApiKeyServiceClient::new(scene.plane.admin_channel());
    let made = keys.create_api_key(request).await.expect("a key");
    made.into_inner().api_key.expect("it").name
}

fn issuer(name: String) -> control::CreateIssuerRequest {
    let jwks = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    control::CreateIssuerRequest {
        issuer: Some(control::Issuer {
            issuer: format!("https://{name}.example"),
            audiences: vec!["porthouse".into()],
            jwks: jwks.into(),
            ..Default::default()
        }),
        issuer_id: name,
        validate_only: false,
    }
}

async fn made_issuer(scene: &Scene, name: String) -> String {
    let mut issuers = IssuerServiceClient::new(scene.plane.admin_channel());
    let made = issuers.create_issuer(issuer(name)).await;
    let made = made.expect("an issuer").into_inner();
    made.issuer.expect("it").name
}

fn device_token(owner: String) -> control::DeviceToken {
    control::DeviceToken {
        owner,
        rooms: vec!["rooms/den".into()],
        ..Default::default()
    }
}

async fn made_device_token(scene: &Scene, name: &str) -> String {
    let request = control::CreateDeviceTokenRequest {
        device_token: Some(device_token(user(scene, name).await)),
        validate_only: false,
    };
    let mut tokens = scene.plane.device_tokens();
    let made = tokens.create_device_token(request).await;
    let made = made.expect("a device token").into_inner();
    made.device_token.expect("it").name
}

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
