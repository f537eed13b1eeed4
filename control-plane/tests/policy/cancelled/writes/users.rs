//! Writes of users, of what they come by, and of what nodes and services are.

use porthouse_api::control::v1 as control;

use super::sessions::signed_in;
use super::{PASSWORD, Ready, Scene, Write, mask, user};

use control::api_key_service_client::ApiKeyServiceClient;
use control::device_token_service_client::DeviceTokenServiceClient;
use control::issuer_service_client::IssuerServiceClient;
use control::node_service_client::NodeServiceClient;
use control::user_service_client::UserServiceClient;

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
        ..Default::default()
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
        ..Default::default()
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
