//! Writes of sessions and of second factors.

use porthouse_api::control::v1 as control;
use totp_rs::Totp;

use super::{PASSWORD, Ready, Scene, Write, user};
use crate::second_factor::{STEP, app, code, code_after};

use control::second_factor_service_client::SecondFactorServiceClient;
use control::secret_service_client::SecretServiceClient;
use control::session_service_client::SessionServiceClient;

pub(crate) const OF_SESSIONS: &[Write] = writes! {
    // First, while nothing else is sealed.
    SecretServiceClient.reseal_secrets |scene, name| {
        factor(scene, &name).await;
        control::ResealSecretsRequest::default()
    };
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

/// A user with a session.
pub(super) struct Holder {
    pub(super) user: String,
    pub(super) session: String,
}

/// One with a second factor.
pub(super) struct Factor {
    pub(super) holder: Holder,
    pub(super) app: Totp,
}

pub(super) fn sign_in(name: String) -> control::CreateSessionRequest {
    control::CreateSessionRequest {
        username: name,
        password: PASSWORD.into(),
        ..Default::default()
    }
}

pub(super) async fn signed_in(scene: &Scene, name: &str) -> Holder {
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

pub(super) async fn factor(scene: &Scene, name: &str) -> Factor {
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
