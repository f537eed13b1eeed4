//! Signing in: a code is asked for where the user has a second factor, a sign-in
//! is completed once, and wrong passwords keep nobody waiting but who gives them.

use std::net::SocketAddr;

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::{CompleteSessionRequest, OpenSessionRequest, Verdict};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::plane::Plane;
use crate::second_factor::{Ada, STEP, code_after};

const PASSWORD: &str = "correct horse";

/// An answer to `ada`'s question from an address.
fn answer(password: &str, address: &str) -> control::CreateSessionRequest {
    control::CreateSessionRequest {
        username: "ada".into(),
        password: password.into(),
        client_address: address.into(),
        user_agent: "a browser".into(),
        ..control::CreateSessionRequest::default()
    }
}

async fn open(
    plane: &Plane,
    request: control::CreateSessionRequest,
) -> Result<control::CreateSessionResponse, Status> {
    open_at(plane, plane.address(), request).await
}

async fn open_at(
    plane: &Plane,
    replica: SocketAddr,
    request: control::CreateSessionRequest,
) -> Result<control::CreateSessionResponse, Status> {
    let opened = plane.sessions_at(replica).create_session(request).await?;
    Ok(opened.into_inner())
}

async fn complete(
    plane: &Plane,
    challenge: &str,
    code: &str,
) -> Result<control::CompleteSessionResponse, Status> {
    let request = control::CompleteSessionRequest {
        challenge: challenge.into(),
        code: code.into(),
    };
    let completed = plane.sessions().complete_session(request).await?;
    Ok(completed.into_inner())
}

async fn challenged(plane: &Plane) -> String {
    let opened = open(plane, answer(PASSWORD, "192.0.2.1")).await;
    let opened = opened.expect("the right password");
    assert!(opened.session.is_none() && opened.token.is_empty());
    opened
        .second_factor_challenge
        .expect("a challenge")
        .challenge
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

async fn make_ada(plane: &Plane) {
    let user = control::CreateUserRequest {
        user_id: "ada".into(),
        password: PASSWORD.into(),
        ..control::CreateUserRequest::default()
    };
    plane.users().create_user(user).await.expect("a user");
}

#[tokio::test]
async fn a_second_factor_is_asked_for_at_the_sign_in() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let challenge = challenged(&plane).await;
    assert!(challenge.starts_with("phc_"));
    let wrong = complete(&plane, &challenge, "000000").await;
    let wrong = wrong.expect_err("not the code");
    assert_eq!(
        (wrong.code(), reason(&wrong).as_str()),
        (Code::PermissionDenied, "CODE_WRONG")
    );
    let code = code_after(&ada.app, STEP);
    let opened = complete(&plane, &challenge, &code).await.expect("the code");
    assert!(opened.token.starts_with("phs_") && opened.device_mark.starts_with("phd_"));
    let session = opened.session.expect("a session");
    let shown: Vec<_> = session
        .factors
        .iter()
        .map(control::SatisfiedFactor::factor)
        .collect();
    assert_eq!(shown, [control::Factor::Password, control::Factor::Second]);
    assert_eq!(
        (&*session.client_address, &*session.user_agent),
        ("192.0.2.1", "a browser")
    );
    let again = complete(&plane, &challenge, &code).await.expect_err("used");
    assert_eq!(
        (again.code(), reason(&again).as_str()),
        (Code::Unauthenticated, "CHALLENGE_GONE")
    );
}

#[tokio::test]
async fn a_recovery_code_completes_a_sign_in_once() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let (first, second) = (challenged(&plane).await, challenged(&plane).await);
    let code = &ada.recovery_codes[0];
    complete(&plane, &first, code).await.expect("a session");
    let again = complete(&plane, &second, code).await.expect_err("used");
    assert_eq!(reason(&again), "CODE_WRONG");
}

#[tokio::test]
async fn a_sign_in_that_waits_does_not_outlive_what_it_began_with() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let name = || "users/ada".to_owned();
    let challenge = challenged(&plane).await;
    let disable = control::DisableUserRequest {
        name: name(),
        ..Default::default()
    };
    plane.users().disable_user(disable).await.expect("there");
    let gone = complete(&plane, &challenge, &ada.recovery_codes[0]).await;
    assert_eq!(reason(&gone.expect_err("disabled")), "CHALLENGE_GONE");
    let enable = control::EnableUserRequest {
        name: name(),
        ..Default::default()
    };
    plane.users().enable_user(enable).await.expect("there");
    let set = control::SetPasswordRequest {
        name: name(),
        password: PASSWORD.into(),
        ..Default::default()
    };
    plane.users().set_password(set).await.expect("there");
    let gone = complete(&plane, &challenge, &ada.recovery_codes[0]).await;
    assert_eq!(
        reason(&gone.expect_err("another password")),
        "CHALLENGE_GONE"
    );
    let challenge = challenged(&plane).await;
    let database = plane.cluster.connect().await;
    let age = "UPDATE sign_in_challenges SET expire_time = now()";
    database.execute(age, &[]).await.expect("aged");
    let gone = complete(&plane, &challenge, &ada.recovery_codes[0]).await;
    assert_eq!(reason(&gone.expect_err("too old")), "CHALLENGE_GONE");
}

#[tokio::test]
async fn at_a_node_a_challenge_is_completed_by_a_code() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let request = OpenSessionRequest {
        username: "ada".into(),
        password: PASSWORD.into(),
        address: "192.0.2.1".into(),
        challenge_wanted: true,
        ..OpenSessionRequest::default()
    };
    let opened = plane.feed().open_session(request).await;
    let waits = opened.expect("a verdict").into_inner();
    assert_eq!(waits.verdict(), Verdict::Wrong);
    assert!(waits.session.is_none() && waits.session_token_sha256.is_empty());
    assert!(waits.challenge_expire_time.is_some());
    let complete = async |code: &str| {
        let request = CompleteSessionRequest {
            challenge: waits.challenge.clone(),
            code: code.to_owned(),
            ..CompleteSessionRequest::default()
        };
        let completed = plane.feed().complete_session(request).await;
        completed.expect("a verdict").into_inner()
    };
    assert_eq!(complete("000000").await.verdict(), Verdict::Wrong);
    let completed = complete(&ada.recovery_codes[0]).await;
    assert_eq!(completed.verdict(), Verdict::Right);
    let session = completed.session.expect("a session");
    assert!(session.second_factor_time.is_some());
    assert_eq!(completed.session_token_sha256.len(), 32);
    let again = complete(&ada.recovery_codes[1]).await;
    assert_eq!(again.verdict(), Verdict::Gone);
    let mistyped = CompleteSessionRequest {
        challenge: "phc_mistyped".into(),
        code: ada.recovery_codes[1].clone(),
        ..CompleteSessionRequest::default()
    };
    let mistyped = plane.feed().complete_session(mistyped).await;
    assert_eq!(
        mistyped.expect("a verdict").into_inner().verdict(),
        Verdict::Gone
    );
}

#[tokio::test]
async fn at_a_node_the_code_comes_along_with_the_password() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let ask = async |password: &str, code: &str| {
        let request = OpenSessionRequest {
            username: "ada".into(),
            password: password.into(),
            address: "192.0.2.1".into(),
            code: code.into(),
            ..OpenSessionRequest::default()
        };
        let opened = plane.feed().open_session(request).await;
        opened.expect("a verdict").into_inner()
    };
    let code = code_after(&ada.app, STEP);
    let wrong = ask("wrong horse", &code).await;
    assert_eq!(
        (wrong.verdict(), wrong.second_factor_required),
        (Verdict::Wrong, false)
    );
    for code in ["", "000000", "no code"] {
        let missing = ask(PASSWORD, code).await;
        assert_eq!(missing.verdict(), Verdict::Wrong);
        assert!(missing.second_factor_required && missing.session.is_none());
    }
    let opened = ask(PASSWORD, &code).await;
    assert_eq!(opened.verdict(), Verdict::Right);
    let session = opened.session.expect("a session");
    assert!(
        session.second_factor_time.is_some(),
        "nodes know that it was shown"
    );
    assert_eq!(
        ask(PASSWORD, &code).await.verdict(),
        Verdict::Wrong,
        "it was used"
    );
}

#[tokio::test]
async fn wrong_passwords_keep_their_network_waiting_on_every_replica_and_nobody_else() {
    let mut plane = Plane::start().await;
    let other_replica = plane.add_replica().await;
    make_ada(&plane).await;
    let known = open(&plane, answer(PASSWORD, "198.51.100.1"))
        .await
        .expect("right");
    for last in 1..=5 {
        let from = format!("192.0.2.{last}");
        let wrong = open(&plane, answer("wrong horse", &from)).await;
        assert_eq!(reason(&wrong.expect_err("wrong")), "CREDENTIALS_WRONG");
    }
    let held = |request| open_at(&plane, other_replica, request);
    let status = held(answer(PASSWORD, "192.0.2.200"))
        .await
        .expect_err("it waits");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "ATTEMPTS_TOO_MANY")
    );
    let details = status.get_error_details();
    let retry = details.retry_info().expect("when to ask again");
    assert!(retry.retry_delay.is_some_and(|delay| delay.as_secs() < 5));
    held(answer(PASSWORD, "203.0.113.1"))
        .await
        .expect("another network");
    let device = control::CreateSessionRequest {
        device_mark: known.device_mark,
        ..answer(PASSWORD, "192.0.2.1")
    };
    let opened = held(device).await.expect("a device that is known");
    assert!(opened.device_mark.is_empty(), "it keeps its mark");
}

#[tokio::test]
async fn strangers_everywhere_do_not_lock_out_a_known_device_and_an_admin_lets_all_in() {
    let plane = Plane::start().await;
    make_ada(&plane).await;
    let known = open(&plane, answer(PASSWORD, "198.51.100.1"))
        .await
        .expect("right");
    let database = plane.cluster.connect().await;
    let sprayed = "INSERT INTO sign_in_wrongs VALUES ('user ada', 'everywhere', 120, now())
        ON CONFLICT (target, source) DO UPDATE SET wrong_count = 120, wrong_time = now()";
    database.execute(sprayed, &[]).await.expect("sprayed");
    let stranger = || answer(PASSWORD, "203.0.113.1");
    let status = open(&plane, stranger()).await.expect_err("strangers wait");
    assert_eq!(reason(&status), "ATTEMPTS_TOO_MANY");
    let device = control::CreateSessionRequest {
        device_mark: known.device_mark.clone(),
        ..stranger()
    };
    open(&plane, device).await.expect("a device that is known");
    let unlock = control::UnlockUserRequest {
        name: "users/ada".into(),
    };
    let unlocked = plane.users().unlock_user(unlock).await.expect("there");
    assert_eq!(unlocked.into_inner().forgotten_count, 1);
    open(&plane, stranger()).await.expect("all may again");

    // A mark is of one user and one password.
    let set = control::SetPasswordRequest {
        name: "users/ada".into(),
        password: PASSWORD.into(),
        ..Default::default()
    };
    plane.users().set_password(set).await.expect("there");
    database.execute(sprayed, &[]).await.expect("sprayed");
    let device = control::CreateSessionRequest {
        device_mark: known.device_mark,
        ..stranger()
    };
    let status = open(&plane, device).await.expect_err("known no more");
    assert_eq!(reason(&status), "ATTEMPTS_TOO_MANY");
}

#[tokio::test]
async fn signing_in_at_nodes_makes_no_known_device_unknown() {
    let plane = Plane::start().await;
    make_ada(&plane).await;
    let known = open(&plane, answer(PASSWORD, "198.51.100.1"))
        .await
        .expect("right");
    for _ in 0..33 {
        let request = OpenSessionRequest {
            username: "ada".into(),
            password: PASSWORD.into(),
            address: "192.0.2.1".into(),
            ..OpenSessionRequest::default()
        };
        let opened = plane.feed().open_session(request).await;
        let opened = opened.expect("a verdict").into_inner();
        assert_eq!(opened.verdict(), Verdict::Right);
    }
    let database = plane.cluster.connect().await;
    let kept = "SELECT count(*) FROM devices";
    let kept = database.query_one(kept, &[]).await.expect("a count");
    assert_eq!(kept.get::<_, i64>(0), 1, "none that nobody was handed");
    let device = control::CreateSessionRequest {
        device_mark: known.device_mark,
        ..answer(PASSWORD, "192.0.2.1")
    };
    let again = open(&plane, device).await.expect("right");
    assert!(again.device_mark.is_empty(), "it is known by its mark");
}

#[tokio::test]
async fn an_unknown_user_is_locked_as_a_known_one() {
    let plane = Plane::start().await;
    make_ada(&plane).await;
    let mut heard = Vec::new();
    for username in ["ada", "nobody"] {
        let mut answers = Vec::new();
        for _ in 0..6 {
            let request = control::CreateSessionRequest {
                username: username.into(),
                ..answer("wrong horse", "192.0.2.1")
            };
            let status = open(&plane, request).await.expect_err("wrong");
            answers.push((status.code(), reason(&status)));
        }
        heard.push(answers);
    }
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[0][5].1, "ATTEMPTS_TOO_MANY");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_guesses_at_once_few_are_looked_at() {
    let plane = Plane::start().await;
    make_ada(&plane).await;
    let mut racing = JoinSet::new();
    for guess in 0..40 {
        let mut sessions = plane.sessions();
        let request = answer(&format!("guess {guess}"), "192.0.2.1");
        racing.spawn(async move {
            let refused = sessions.create_session(request).await.expect_err("wrong");
            reason(&refused)
        });
    }
    let reasons = racing.join_all().await;
    let looked_at = reasons
        .iter()
        .filter(|reason| *reason == "CREDENTIALS_WRONG")
        .count();
    // Five, and one more for each time that the wait is over meanwhile.
    assert!((1..=9).contains(&looked_at), "{reasons:?}");
}

#[tokio::test]
async fn wrong_codes_and_wrong_passwords_are_counted_apart() {
    let plane = Plane::start().await;
    let ada = Ada::new(&plane).await;
    let challenge = challenged(&plane).await;
    for _ in 0..5 {
        let wrong = complete(&plane, &challenge, "000000").await;
        assert_eq!(reason(&wrong.expect_err("wrong")), "CODE_WRONG");
    }
    let later = complete(&plane, &challenge, &ada.recovery_codes[0]).await;
    assert_eq!(reason(&later.expect_err("too many")), "CODES_TOO_MANY");
    challenged(&plane).await;
}
