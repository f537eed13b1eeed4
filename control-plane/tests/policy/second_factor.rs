//! Second factors: codes and recovery codes are taken once wherever they are
//! shown, wrong ones are counted, and secrets are sealed in the database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::change_item::Item;
use porthouse_api::node::v1::resolve_key::Key;
use porthouse_api::node::v1::resolved::Found;
use porthouse_api::node::v1::verify_step_request::Proof;
use porthouse_api::node::v1::{
    ChangePayload, ResolveKey, ResolveRequest, SecondFactorProof, StepVerdict, VerifyStepRequest,
    VerifyStepResponse,
};
use porthouse_model::{Credential, CredentialKind, SessionId};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use totp_rs::{Builder, Secret, Totp};

use crate::plane::{Node, Plane, sealing_keys, settings};

/// How long a code is shown.
pub(crate) const STEP: Duration = Duration::from_secs(30);

/// Whoever has an authenticator app, and a session.
pub(crate) struct Ada {
    pub(crate) app: Totp,
    pub(crate) recovery_codes: Vec<String>,
    pub(crate) session: SessionId,
    token: Credential,
}

impl Ada {
    /// Signs up, in, and for a second factor.
    pub(crate) async fn new(plane: &Plane) -> Self {
        let user = control::CreateUserRequest {
            user_id: "ada".into(),
            password: "correct horse".into(),
            ..control::CreateUserRequest::default()
        };
        plane.users().create_user(user).await.expect("a user");
        let (session, token) = sign_in(plane).await;
        let begun = begin(plane).await.expect("begun");
        let app = app(&begun.secret);
        let confirmed = confirm(plane, &code(&app)).await.expect("enabled");
        Self {
            app,
            recovery_codes: confirmed.recovery_codes,
            session,
            token,
        }
    }

    /// Shows this at a room's door on a node that asks this replica.
    async fn show(&self, plane: &Plane, replica: SocketAddr, code: &str) -> VerifyStepResponse {
        show(plane, replica, self.session, code).await
    }
}

pub(crate) fn app(secret: &str) -> Totp {
    let secret = Secret::try_from_base32(secret).expect("base32");
    Builder::new().with_secret(secret).build_noncompliant()
}

pub(crate) fn code(app: &Totp) -> String {
    app.generate_current().to_string()
}

/// The code that is shown this much later.
pub(crate) fn code_after(app: &Totp, later: Duration) -> String {
    let at = Utc::now() + later;
    app.generate(at.timestamp().unsigned_abs()).to_string()
}

pub(crate) async fn begin(plane: &Plane) -> Result<control::BeginTotpResponse, Status> {
    let user = control::BeginTotpRequest {
        user: "users/ada".into(),
    };
    Ok(plane.second_factors().begin_totp(user).await?.into_inner())
}

async fn confirm(plane: &Plane, code: &str) -> Result<control::ConfirmTotpResponse, Status> {
    let request = control::ConfirmTotpRequest {
        user: "users/ada".into(),
        code: code.to_owned(),
    };
    let confirmed = plane.second_factors().confirm_totp(request).await?;
    Ok(confirmed.into_inner())
}

async fn sign_in(plane: &Plane) -> (SessionId, Credential) {
    let request = control::CreateSessionRequest {
        username: "ada".into(),
        password: "correct horse".into(),
        ..Default::default()
    };
    let opened = plane.sessions().create_session(request).await;
    let opened = opened.expect("a session").into_inner();
    let name = opened.session.expect("the session").name;
    let id = name.strip_prefix("sessions/").expect("a session's name");
    let token = Credential::parse(CredentialKind::Session, &opened.token);
    (id.parse().expect("an identity"), token.expect("a token"))
}

async fn show(
    plane: &Plane,
    replica: SocketAddr,
    session: SessionId,
    code: &str,
) -> VerifyStepResponse {
    let request = VerifyStepRequest {
        room_id: vec![1; 16],
        client_id: vec![2; 16],
        session_id: session.as_bytes().to_vec(),
        address: "192.0.2.1".into(),
        proof: Some(Proof::SecondFactor(SecondFactorProof {
            code: code.to_owned(),
        })),
        room_name: String::new(),
    };
    let shown = plane.feed_at(replica).verify_step(request).await;
    shown.expect("a verdict").into_inner()
}

/// Waits as a client does that was told to ask again.
pub(crate) async fn ask_again(busy: &Status) {
    assert_eq!(busy.code(), Code::Unavailable, "{busy}");
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn a_code_is_taken_once_and_none_before_it_after() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let show = async |code: &str| ada.show(&plane, plane.address(), code).await.verdict();
    // The one that enabled it was taken then.
    assert_eq!(show(&code(&ada.app)).await, StepVerdict::Wrong);
    let next = code_after(&ada.app, STEP);
    assert_eq!(show(&next).await, StepVerdict::Right);
    assert_eq!(show(&next).await, StepVerdict::Wrong);
    assert_eq!(show(&code(&ada.app)).await, StepVerdict::Wrong);
}

#[tokio::test]
async fn after_wrong_codes_a_right_one_waits_wherever_it_comes_from() {
    let mut plane = Plane::start().await;
    let other = plane.add_replica().await;
    let ada = Ada::new(&plane).await;
    // Used codes and right ones are not counted; these two are neither.
    for wrong in [
        "000000",
        "nonsense",
        "1",
        "AAAAA-AAAAA-AAAAA-AAAAA-AAAAAA",
        "９９９９９９",
    ] {
        let shown = ada.show(&plane, plane.address(), wrong).await;
        assert_eq!(shown.verdict(), StepVerdict::Wrong, "{wrong}");
    }
    let next = code_after(&ada.app, STEP);
    let shown = ada.show(&plane, other, &next).await;
    assert_eq!(shown.verdict(), StepVerdict::Later);
    let wait = shown.retry_delay.expect("a delay");
    assert!(wait.seconds < 2, "{wait:?}");
    let database = plane.cluster.connect().await;
    let pass = "UPDATE second_factors SET wrong_time = wrong_time - interval '1 second'";
    database.execute(pass, &[]).await.expect("time passes");
    let shown = ada.show(&plane, other, &next).await;
    assert_eq!(shown.verdict(), StepVerdict::Right);
}

#[tokio::test]
async fn nodes_learn_when_a_session_showed_it() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let mut node = Node::watch(&plane, "a").await;
    assert_eq!(resolved(&plane, &ada).await, None);
    let code = code_after(&ada.app, STEP);
    let shown = ada.show(&plane, plane.address(), &code).await;
    let change = node.change().await.expect("a change");
    assert_eq!(change.revision, shown.revision);
    let payload = ChangePayload::decode(change.payload).expect("a payload");
    let items: Vec<_> = payload.items.into_iter().map(|item| item.item).collect();
    let [Some(Item::Session(session))] = &items[..] else {
        panic!("one session: {items:?}")
    };
    assert_eq!(session.id, ada.session.as_bytes());
    assert!(session.second_factor_time.is_some());
    assert_eq!(resolved(&plane, &ada).await, session.second_factor_time);
}

async fn resolved(plane: &Plane, ada: &Ada) -> Option<prost_types::Timestamp> {
    let hash = ada.token.hash().as_bytes().to_vec();
    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: 0,
        keys: vec![ResolveKey {
            key: Some(Key::SessionTokenSha256(hash)),
        }],
    };
    let answer = plane.feed().resolve(request).await.expect("an answer");
    match answer.into_inner().resolved.remove(0).found {
        Some(Found::Session(session)) => session.second_factor_time,
        other => panic!("a session: {other:?}"),
    }
}

#[tokio::test]
async fn a_backend_shows_it_for_a_session_too() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let show = async |code: String| {
        let request = control::ShowSecondFactorRequest {
            session: format!("sessions/{}", ada.session),
            code,
        };
        plane.second_factors().show_second_factor(request).await
    };
    let refused = show("123".into()).await.expect_err("wrong");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("clock"), "{}", refused.message());
    let shown = show(ada.recovery_codes[3].to_lowercase()).await;
    let shown = shown.expect("right").into_inner();
    // Nodes are told to the millisecond.
    let told = resolved(&plane, &ada).await.expect("shown");
    let shown = shown.second_factor_time.expect("when");
    assert_eq!(told.seconds, shown.seconds);
}

#[tokio::test]
async fn a_second_factor_is_enabled_by_a_code_of_it_and_not_replaced_without() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let refused = begin(&plane).await.expect_err("enabled");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let refused = confirm(&plane, &code(&ada.app)).await.expect_err("enabled");
    assert_eq!(refused.code(), Code::FailedPrecondition);

    let disable = |code: &str| control::DisableTotpRequest {
        user: "users/ada".into(),
        code: code.to_owned(),
    };
    let keyed = plane.keyed(&["users"]).await;
    let mut backend = control::second_factor_service_client::SecondFactorServiceClient::new(keyed);
    let refused = backend
        .disable_totp(disable(""))
        .await
        .expect_err("no code");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = backend.disable_totp(disable("12")).await;
    assert_eq!(refused.expect_err("wrong").code(), Code::PermissionDenied);
    let mut admin = plane.second_factors();
    let gone = admin.disable_totp(disable("")).await.expect("an admin may");
    assert!(!gone.into_inner().second_factor.expect("it").enabled);
    let shown = ada.show(&plane, plane.address(), "123456").await;
    assert_eq!(
        shown.verdict(),
        StepVerdict::Gone,
        "its sessions have ended"
    );
    let refused = admin.disable_totp(disable("")).await.expect_err("none");
    assert_eq!(refused.code(), Code::FailedPrecondition);

    // Begun anew, the last secret counts, and nothing does before a code of it.
    let first = begin(&plane).await.expect("begun");
    let second = begin(&plane).await.expect("begun again");
    let (session, _) = sign_in(&plane).await;
    let shown = show(&plane, plane.address(), session, "123456").await;
    assert_eq!(shown.verdict(), StepVerdict::NotEnrolled);
    let refused = confirm(&plane, &code(&app(&first.secret))).await;
    assert_eq!(
        refused.expect_err("replaced").code(),
        Code::PermissionDenied
    );
    let confirmed = confirm(&plane, &code(&app(&second.secret))).await;
    let second_factor = confirmed.expect("enabled").second_factor.expect("it");
    assert!(second_factor.enabled && second_factor.recovery_codes_left == 10);
}

#[tokio::test]
async fn new_recovery_codes_replace_the_old_ones() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let request = control::RegenerateRecoveryCodesRequest {
        user: "users/ada".into(),
        code: ada.recovery_codes[0].clone(),
    };
    let mut service = plane.second_factors();
    let renewed = service.regenerate_recovery_codes(request).await;
    let renewed = renewed.expect("renewed").into_inner().recovery_codes;
    assert_eq!(renewed.len(), 10);
    let old = ada
        .show(&plane, plane.address(), &ada.recovery_codes[1])
        .await;
    assert_eq!(old.verdict(), StepVerdict::Wrong);
    let new = ada.show(&plane, plane.address(), &renewed[1]).await;
    assert_eq!(new.verdict(), StepVerdict::Right);
}

#[tokio::test]
async fn without_a_key_calls_that_need_one_are_refused_with_the_setting() {
    let mut plane = Plane::start().await;
    let mut keyless = settings(plane.cluster.url());
    keyless.sealing_keys = None;
    let replica = plane.add_replica_with(keyless).await;
    let ada = Ada::new(&plane).await;
    let request = control::ShowSecondFactorRequest {
        session: format!("sessions/{}", ada.session),
        code: code_after(&ada.app, STEP),
    };
    let mut service = plane.second_factors_at(replica);
    let refused = service.show_second_factor(request).await;
    let refused = refused.expect_err("no key");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("--secrets-key-file"));
    let details = refused.get_error_details();
    let reason = &details.error_info().expect("a reason").reason;
    assert_eq!(reason, "SECRETS_KEY_MISSING");
}

#[tokio::test]
async fn keys_are_turned_over_as_codes_are_shown() {
    let mut plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let mut with = async |names: &[&str]| {
        let mut settings = settings(plane.cluster.url());
        settings.sealing_keys = Some(Arc::new(sealing_keys(names)));
        plane.add_replica_with(settings).await
    };
    let both = with(&["new", "test"]).await;
    let new = with(&["new"]).await;
    let show = async |replica, code: String| {
        let request = control::ShowSecondFactorRequest {
            session: format!("sessions/{}", ada.session),
            code,
        };
        plane
            .second_factors_at(replica)
            .show_second_factor(request)
            .await
    };
    let refused = show(new, code(&ada.app)).await.expect_err("another key's");
    assert!(
        refused.message().contains("`test`"),
        "{}",
        refused.message()
    );
    show(both, code_after(&ada.app, STEP)).await.expect("opens");
    let database = plane.cluster.connect().await;
    let forget = "UPDATE second_factors SET step_last = 0";
    database.execute(forget, &[]).await.expect("forgotten");
    show(new, code(&ada.app)).await.expect("sealed anew");
}

#[tokio::test]
async fn no_secret_is_readable_in_the_database() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let database = plane.cluster.connect().await;
    let rows = "SELECT secret_sealed FROM second_factors";
    let sealed: Vec<u8> = database.query_one(rows, &[]).await.expect("a row").get(0);
    let secret = ada.app.secret().as_bytes();
    let is_inside = |part: &[u8]| sealed.windows(part.len()).any(|window| window == part);
    assert!(!is_inside(secret) && !is_inside(&secret[..8]));
}
