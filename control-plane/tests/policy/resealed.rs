//! Keys that secrets are sealed under are turned over: everything is sealed anew, a
//! few at a time, until the old key may go.

use std::net::SocketAddr;
use std::sync::Arc;

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::secret_service_client::SecretServiceClient;
use tonic::{Code, Status};

use crate::plane::{Plane, sealing_keys, settings};
use crate::second_factor::{Ada, STEP, code_after};

/// A second factor, and a code and a hook of a room and of a template.
const SECRETS: i64 = 5;

/// A replica that has these keys.
async fn replica(plane: &mut Plane, names: &[&str]) -> SocketAddr {
    let mut settings = settings(plane.cluster.url());
    settings.sealing_keys = Some(Arc::new(sealing_keys(names)));
    plane.add_replica_with(settings).await
}

async fn reseal(
    plane: &Plane,
    at: SocketAddr,
    secrets_max: i32,
) -> Result<control::ResealSecretsResponse, Status> {
    let request = control::ResealSecretsRequest {
        secrets_max,
        validate_only: false,
    };
    let mut secrets = SecretServiceClient::new(plane.admin_channel_at(at));
    Ok(secrets.reseal_secrets(request).await?.into_inner())
}

async fn door(plane: &Plane, of: &str) {
    let code = control::SetRoomCodeRequest {
        room: of.to_owned(),
        ..control::SetRoomCodeRequest::default()
    };
    plane.doors().set_room_code(code).await.expect("a code");
    let hook = control::SetRoomHookRequest {
        room: of.to_owned(),
        url: "http://127.0.0.1:8080".to_owned(),
        secret: "between-us-alone".to_owned(),
        ..control::SetRoomHookRequest::default()
    };
    plane.doors().set_room_hook(hook).await.expect("a hook");
}

/// Everything that is sealed, once.
async fn sealed() -> (Plane, Ada) {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    plane.create_room("den").await;
    door(&plane, "rooms/den").await;
    let template = control::CreateRoomTemplateRequest {
        room_template_id: "chat:*".to_owned(),
        ..control::CreateRoomTemplateRequest::default()
    };
    let mut templates = plane.room_templates();
    let made = templates.create_room_template(template).await;
    made.expect("a template");
    door(&plane, "roomTemplates/chat:*").await;
    (plane, ada)
}

/// Keys by name, with how much is under each.
fn keys(answer: &control::ResealSecretsResponse) -> Vec<(&str, i64)> {
    let keys = answer.keys.iter();
    keys.map(|key| (key.name.as_str(), key.secrets)).collect()
}

#[tokio::test]
async fn secrets_are_sealed_anew_a_few_at_a_time_until_the_old_key_may_go() {
    let (mut plane, ada) = sealed().await;
    let both = replica(&mut plane, &["new", "test"]).await;
    let rehearsal = control::ResealSecretsRequest {
        validate_only: true,
        ..control::ResealSecretsRequest::default()
    };
    let mut secrets = SecretServiceClient::new(plane.admin_channel_at(both));
    let rehearsed = secrets.reseal_secrets(rehearsal).await.expect("rehearsed");
    assert_eq!(rehearsed.into_inner().resealed, 5);

    for (resealed, left) in [(2, 3), (2, 1), (1, 0), (0, 0)] {
        let answer = reseal(&plane, both, 2).await.expect("some");
        let told = (answer.resealed, answer.left, answer.damaged);
        assert_eq!(told, (resealed, left, 0), "{answer:?}");
        if left == 0 {
            assert_eq!(keys(&answer), [("new", SECRETS)]);
            assert!(answer.keys[0].seals && !answer.keys[0].missing);
        }
    }
    // Whoever has the new key alone opens everything.
    let new = replica(&mut plane, &["new"]).await;
    let request = control::ShowSecondFactorRequest {
        session: format!("sessions/{}", ada.session),
        code: code_after(&ada.app, STEP),
    };
    let mut service = plane.second_factors_at(new);
    service.show_second_factor(request).await.expect("it opens");
    let next = replica(&mut plane, &["next", "new"]).await;
    let answer = reseal(&plane, next, 0).await.expect("all");
    assert_eq!((answer.resealed, answer.damaged), (5, 0));
    assert_eq!(keys(&answer), [("next", SECRETS)]);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_named_and_what_it_sealed_stays() {
    let (mut plane, _) = sealed().await;
    let new = replica(&mut plane, &["new"]).await;
    let answer = reseal(&plane, new, 0).await.expect("nothing");
    assert_eq!((answer.resealed, answer.left), (0, SECRETS));
    assert_eq!(keys(&answer), [("test", SECRETS)]);
    assert!(answer.keys[0].missing && !answer.keys[0].seals);
    let refused = reseal(&plane, new, -1).await.expect_err("not negative");
    assert_eq!(refused.code(), Code::InvalidArgument);

    let mut none = settings(plane.cluster.url());
    none.sealing_keys = None;
    let none = plane.add_replica_with(none).await;
    let refused = reseal(&plane, none, 0).await.expect_err("no keys");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("--secrets-key-file"));
}

#[tokio::test]
async fn a_secret_that_was_copied_over_another_is_counted_and_holds_up_nothing() {
    let (mut plane, _) = sealed().await;
    let database = plane.cluster.connect().await;
    let copy = "UPDATE rooms SET code_sealed = (SELECT secret_sealed FROM second_factors)";
    database.execute(copy, &[]).await.expect("copied");
    let both = replica(&mut plane, &["new", "test"]).await;
    let answer = reseal(&plane, both, 0).await.expect("the others");
    let told = (answer.resealed, answer.left, answer.damaged);
    assert_eq!(told, (4, 1, 1), "{answer:?}");
    assert_eq!(keys(&answer), [("new", 4), ("test", 1)]);
}

#[tokio::test]
async fn many_who_seal_anew_at_once_seal_each_secret_once() {
    let (mut plane, _) = sealed().await;
    let both = replica(&mut plane, &["new", "test"]).await;
    let calls = (0..8).map(|_| reseal(&plane, both, 1));
    let answers = futures_util::future::join_all(calls).await;
    let resealed = answers.into_iter().map(|answer| answer.expect("some"));
    let resealed: i32 = resealed.map(|answer| answer.resealed).sum();
    assert!(resealed <= 5, "{resealed}");
    let rest = reseal(&plane, both, 0).await.expect("the rest");
    assert_eq!((resealed + rest.resealed, rest.left), (5, 0));
}
