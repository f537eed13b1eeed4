//! Signing in and out over gRPC, and what ends a session. Opens no socket.

use porthouse_api::control::v1 as wire;
use tonic::Code;

use crate::world::{World, reason};

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_answer_alike() {
    let world = World::start().await;
    world.user("sana", "correct horse").await;
    world.user("without", "").await;
    world.user("disabled", "correct horse").await;
    let disable = wire::DisableUserRequest {
        name: "users/disabled".into(),
        ..Default::default()
    };
    world
        .admin()
        .users()
        .disable_user(disable)
        .await
        .expect("there");

    let opened = world
        .sign_in("Sana", "correct horse")
        .await
        .expect("the right password");
    assert!(opened.token.starts_with("phs_"));
    let mut answers = Vec::new();
    for (name, password) in [
        ("sana", "wrong horse"),
        ("nobody", "correct horse"),
        ("without", "correct horse"),
        ("disabled", "correct horse"),
    ] {
        let status = world.sign_in(name, password).await.expect_err("wrong");
        answers.push((
            status.code(),
            status.message().to_owned(),
            status.details().to_vec(),
        ));
    }
    assert_eq!(answers[0].0, Code::Unauthenticated);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_revoked_session_is_gone_and_the_answer_has_a_new_revision() {
    let world = World::start().await;
    world.user("sana", "correct horse").await;
    let opened = world
        .sign_in("sana", "correct horse")
        .await
        .expect("a session");
    let name = opened.session.expect("a session").name;
    let mut sessions = world.admin().sessions();
    let get = wire::GetSessionRequest { name: name.clone() };
    let found = sessions
        .get_session(get.clone())
        .await
        .expect("there")
        .into_inner();
    assert_eq!(found.session.expect("a session").user, "users/sana");

    let revoke = wire::RevokeSessionRequest { name };
    let revoked = sessions
        .revoke_session(revoke.clone())
        .await
        .expect("there")
        .into_inner();
    assert!(revoked.revision > opened.revision);
    assert_eq!(
        sessions.get_session(get).await.expect_err("gone").code(),
        Code::NotFound
    );
    assert_eq!(
        sessions
            .revoke_session(revoke)
            .await
            .expect_err("gone")
            .code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn whatever_ends_a_users_sessions_ends_all_of_them_at_one_revision() {
    let world = World::start().await;
    world.user("sana", "correct horse").await;
    world.user("other", "correct horse").await;
    world
        .sign_in("other", "correct horse")
        .await
        .expect("a session");
    let (mut users, mut sessions) = (world.admin().users(), world.admin().sessions());
    let name = || "users/sana".to_owned();

    three_sessions(&world).await;
    let all = wire::RevokeAllSessionsRequest { user: name() };
    let revoked = sessions
        .revoke_all_sessions(all)
        .await
        .expect("there")
        .into_inner();
    assert_eq!(
        (revoked.revoked_count, live(&world, "users/sana").await),
        (3, 0)
    );

    three_sessions(&world).await;
    let set = wire::SetPasswordRequest {
        name: name(),
        password: "correct horse".into(),
        ..Default::default()
    };
    let set = users.set_password(set).await.expect("there").into_inner();
    assert_eq!(
        (set.revision, live(&world, "users/sana").await),
        (revoked.revision + 1, 0)
    );

    three_sessions(&world).await;
    let disable = wire::DisableUserRequest {
        name: name(),
        ..Default::default()
    };
    let disabled = users
        .disable_user(disable)
        .await
        .expect("there")
        .into_inner();
    assert_eq!(
        (disabled.revision, live(&world, "users/sana").await),
        (set.revision + 1, 0)
    );
    assert_eq!(live(&world, "").await, 1, "the other user's");
}

async fn three_sessions(world: &World) {
    for _ in 0..3 {
        world
            .sign_in("sana", "correct horse")
            .await
            .expect("a session");
    }
    assert_eq!(live(world, "users/sana").await, 3);
}

/// How many sessions of this user are live, or of all.
async fn live(world: &World, user: &str) -> usize {
    let list = wire::ListSessionsRequest {
        user: user.into(),
        ..Default::default()
    };
    let page = world
        .admin()
        .sessions()
        .list_sessions(list)
        .await
        .expect("a page");
    page.into_inner().sessions.len()
}

#[tokio::test]
async fn a_sign_in_in_flight_does_not_outlive_the_disabling_of_its_user() {
    let world = World::start().await;
    world.user("sana", "correct horse").await;
    let mut users = world.admin().users();
    let name = || "users/sana".to_owned();
    for _ in 0..20 {
        let disable = wire::DisableUserRequest {
            name: name(),
            ..Default::default()
        };
        let (_, disabled) = tokio::join!(
            world.sign_in("sana", "correct horse"),
            users.disable_user(disable),
        );
        disabled.expect("there");
        assert_eq!(live(&world, "users/sana").await, 0);
        let enable = wire::EnableUserRequest {
            name: name(),
            ..Default::default()
        };
        users.enable_user(enable).await.expect("there");
    }
}

#[tokio::test]
async fn a_user_has_at_most_so_many_sessions_and_the_oldest_ends() {
    let world = World::start().await;
    world.user("sana", "correct horse").await;
    let first = world
        .sign_in("sana", "correct horse")
        .await
        .expect("a session");
    for _ in 1..256 {
        world
            .sign_in("sana", "correct horse")
            .await
            .expect("a session");
    }
    let mut sessions = world.admin().sessions();
    let get = wire::GetSessionRequest {
        name: first.session.expect("a session").name,
    };
    sessions.get_session(get.clone()).await.expect("the oldest");
    let last = world
        .sign_in("sana", "correct horse")
        .await
        .expect("a session");
    assert_eq!(
        last.revision,
        first.revision + 1,
        "nodes are told that the oldest ended"
    );
    assert_eq!(
        sessions.get_session(get).await.expect_err("ended").code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn a_password_of_any_bytes_is_answered_and_never_repeated() {
    let world = World::start().await;
    world.user("sana", "correct horse").await;
    for password in [
        "p".repeat(1025),
        "p".repeat(200_000),
        "nul \0 nul".into(),
        String::new(),
    ] {
        let status = world
            .sign_in("sana", &password)
            .await
            .expect_err("no password");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let status = world
        .sign_in("sana", &"p".repeat(1 << 20))
        .await
        .expect_err("too long");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "REQUEST_TOO_LARGE")
    );
}

#[tokio::test]
async fn a_backend_opens_a_session_for_its_own_user_by_a_scope_of_its_own() {
    let world = World::start().await;
    world.user("sana", "correct horse").await;
    let asked = || wire::CreateUserSessionRequest {
        user: "users/sana".into(),
        client_address: "203.0.113.7".into(),
        ..Default::default()
    };
    let key = world.key(&["sessions", "users"]).await;
    let mut without = world.with_key(&key.secret).sessions();
    let status = without.create_user_session(asked()).await.expect_err("no");
    assert_eq!(status.code(), Code::PermissionDenied);

    let key = world.key(&["impersonate"]).await;
    let mut sessions = world.with_key(&key.secret).sessions();
    let opened = sessions
        .create_user_session(asked())
        .await
        .expect("a session");
    let opened = opened.into_inner();
    assert!(opened.token.starts_with("phs_"));
    let session = opened.session.expect("a session");
    assert_eq!(
        (session.user.as_str(), &session.factors[..]),
        ("users/sana", &[][..])
    );
    assert_eq!(session.client_address, "203.0.113.7");
    let own = world.sign_in("sana", "correct horse").await.expect("right");
    assert_eq!(
        own.session.expect("a session").factors.len(),
        1,
        "a password"
    );
    let status = sessions
        .get_session(wire::GetSessionRequest { name: session.name })
        .await
        .expect_err("another scope");
    assert_eq!(status.code(), Code::PermissionDenied);

    let events = world.audited("SessionService.CreateUserSession").await;
    let [refused, event] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(refused.outcome, "SCOPE_MISSING");
    assert!(event.target.contains("users/sana"), "{event:?}");
    assert_eq!(event.client_address, "203.0.113.7");

    let disable = wire::DisableUserRequest {
        name: "users/sana".into(),
        ..Default::default()
    };
    world
        .admin()
        .users()
        .disable_user(disable)
        .await
        .expect("there");
    let status = sessions.create_user_session(asked()).await.expect_err("no");
    assert_eq!(reason(&status), "USER_DISABLED");
    let nobody = wire::CreateUserSessionRequest {
        user: "users/nobody".into(),
        ..Default::default()
    };
    let status = sessions.create_user_session(nobody).await.expect_err("no");
    assert_eq!(status.code(), Code::NotFound);
}
