//! Issuers: made, changed and withdrawn, and whom their tokens sign in. Fetches no
//! keys.

use std::collections::HashMap;

use porthouse_api::control::v1 as wire;
use serde_json::json;
use tonic::Code;

use crate::provider::{ISSUER, SigningKey, issuer, key_set, now};
use crate::world::{World, field, mask, reason};

#[tokio::test]
async fn an_issuer_is_made_read_listed_and_changed() {
    let world = World::start().await;
    let key = SigningKey::new(1, "one");
    let given = wire::Issuer {
        display_name: "Acme".into(),
        claim_mapping: Some(wire::ClaimMapping {
            username: "preferred_username".into(),
            display_name: "name".into(),
            labels: HashMap::from([("team".into(), "department".into())]),
        }),
        required_claims: HashMap::from([("email_verified".into(), "true".into())]),
        ..issuer(&[&key])
    };
    let made = world.trust("acme", given.clone()).await;
    let made = made.issuer.expect("an issuer");
    assert_eq!(made.name, "issuers/acme");
    assert_eq!(made.claim_mapping, given.claim_mapping);
    assert_eq!(made.required_claims, given.required_claims);
    assert_eq!(made.algorithms.len(), 3, "those that are usual");
    assert_eq!(made.leeway.expect("the usual").seconds, 60);
    assert_eq!(made.keys.len(), 1);
    assert_eq!(made.keys[0].kid, "one");

    let mut issuers = world.admin().issuers();
    let get = wire::GetIssuerRequest {
        name: made.name.clone(),
    };
    let read = issuers.get_issuer(get).await.expect("there").into_inner();
    assert_eq!(read.issuer.as_ref(), Some(&made));
    let update = wire::UpdateIssuerRequest {
        issuer: Some(wire::Issuer {
            algorithms: vec![wire::SigningAlgorithm::Es256.into()],
            ..made.clone()
        }),
        update_mask: Some(mask(&["algorithms"])),
        validate_only: true,
    };
    let rehearsed = issuers.update_issuer(update.clone()).await;
    let rehearsed = rehearsed.expect("it may").into_inner();
    assert_eq!(rehearsed.revision, 0);
    let kept = wire::UpdateIssuerRequest {
        validate_only: false,
        ..update.clone()
    };
    let changed = issuers.update_issuer(kept.clone()).await.expect("changed");
    let changed = changed.into_inner().issuer.expect("an issuer");
    assert_eq!(changed.algorithms.len(), 1);
    assert_eq!(
        changed.claim_mapping, made.claim_mapping,
        "it was not named"
    );
    let stale = issuers.update_issuer(kept).await.expect_err("stale");
    assert_eq!(stale.code(), Code::Aborted);
}

#[tokio::test]
async fn issuers_are_listed_by_name_page_by_page() {
    let world = World::start().await;
    let key = SigningKey::new(1, "one");
    world.trust("acme", issuer(&[&key])).await;
    let mut issuers = world.admin().issuers();
    let other = wire::Issuer {
        issuer: "https://other.example".into(),
        ..issuer(&[&key])
    };
    world.trust("other", other).await;
    let list = wire::ListIssuersRequest {
        page_size: 1,
        ..Default::default()
    };
    let first = issuers
        .list_issuers(list)
        .await
        .expect("a page")
        .into_inner();
    assert_eq!(first.issuers[0].name, "issuers/acme");
    let list = wire::ListIssuersRequest {
        page_size: 1,
        page_token: first.next_page_token,
    };
    let next = issuers
        .list_issuers(list)
        .await
        .expect("a page")
        .into_inner();
    assert_eq!(next.issuers[0].name, "issuers/other");
    assert_eq!(next.next_page_token, "");
}

#[tokio::test]
async fn what_cannot_be_trusted_is_refused_by_its_field() {
    let world = World::start().await;
    let key = SigningKey::new(1, "one");
    let good = issuer(&[&key]);
    let with = |change: &dyn Fn(&mut wire::Issuer)| {
        let mut issuer = good.clone();
        change(&mut issuer);
        issuer
    };
    let mut private = key.public();
    private["d"] = "AA".into();
    let private = json!({ "keys": [private] }).to_string();
    let twice = key_set(&[&key, &SigningKey::new(2, "one")]);
    let nine = Some(prost_types::Duration {
        seconds: 601,
        nanos: 0,
    });
    for (issuer, bad) in [
        (with(&|i| i.issuer.clear()), "issuer.issuer"),
        (with(&|i| i.audiences.clear()), "issuer.audiences"),
        (
            with(&|i| i.audiences = vec!["a".into(); 2]),
            "issuer.audiences",
        ),
        (with(&|i| i.jwks.clear()), "issuer.jwks"),
        (with(&|i| i.jwks = "{}".into()), "issuer.jwks"),
        (with(&|i| i.jwks.clone_from(&private)), "issuer.jwks"),
        (with(&|i| i.jwks.clone_from(&twice)), "issuer.jwks"),
        (
            with(&|i| i.jwks_uri = "https://id.example/k".into()),
            "issuer.jwks",
        ),
        (
            with(&|i| i.jwks_uri = "http://id.example/k".into()),
            "issuer.jwks_uri",
        ),
        (
            with(&|i| i.jwks_uri = "file:///etc/passwd".into()),
            "issuer.jwks_uri",
        ),
        (with(&|i| i.algorithms = vec![0]), "issuer.algorithms"),
        (with(&|i| i.algorithms = vec![99]), "issuer.algorithms"),
        (with(&|i| i.leeway = nine), "issuer.leeway"),
        (
            with(&|i| i.required_claims = HashMap::from([(String::new(), "x".into())])),
            "issuer.required_claims",
        ),
    ] {
        let request = wire::CreateIssuerRequest {
            issuer_id: "acme".into(),
            issuer: Some(issuer),
            validate_only: false,
        };
        let refused = world.admin().issuers().create_issuer(request).await;
        let refused = refused.expect_err(bad);
        assert_eq!(field(&refused), bad, "{refused}");
    }
}

#[tokio::test]
async fn an_issuer_has_a_short_name_and_an_iss_of_its_own() {
    let world = World::start().await;
    let good = issuer(&[&SigningKey::new(1, "one")]);
    for id in ["", "Acme", "a.b", "-a", "a-", &"a".repeat(33)] {
        let request = wire::CreateIssuerRequest {
            issuer_id: id.to_owned(),
            issuer: Some(good.clone()),
            validate_only: false,
        };
        let refused = world.admin().issuers().create_issuer(request).await;
        assert_eq!(field(&refused.expect_err("no name")), "issuer_id", "{id}");
    }
    world.trust("acme", good.clone()).await;
    let again = wire::CreateIssuerRequest {
        issuer_id: "again".into(),
        issuer: Some(good),
        validate_only: false,
    };
    let refused = world.admin().issuers().create_issuer(again).await;
    assert_eq!(refused.expect_err("taken").code(), Code::AlreadyExists);
}

#[tokio::test]
async fn only_an_admin_says_whom_to_trust() {
    let world = World::start().await;
    for scope in ["users", "sessions", "rooms", "node"] {
        let key = world.key(&[scope]).await;
        let mut issuers = world.with_key(&key.secret).issuers();
        let refused = issuers
            .list_issuers(wire::ListIssuersRequest::default())
            .await;
        assert_eq!(
            reason(&refused.expect_err("refused")),
            "SCOPE_MISSING",
            "{scope}"
        );
    }
}

#[tokio::test]
async fn a_token_signs_in_whom_it_names_and_says_so() {
    let world = World::start().await;
    let key = SigningKey::new(1, "one");
    let mapped = wire::Issuer {
        claim_mapping: Some(wire::ClaimMapping {
            username: "preferred_username".into(),
            display_name: "name".into(),
            labels: HashMap::from([("team".into(), "department".into())]),
        }),
        ..issuer(&[&key])
    };
    world.trust("acme", mapped).await;
    let claims = json!({ "preferred_username": "Sana", "name": "Sana L.", "department": "dev" });
    let opened = world
        .show(&key.token_with("s-1", &claims))
        .await
        .expect("in");
    assert!(opened.token.starts_with("phs_"));
    let session = opened.session.clone().expect("a session");
    assert_eq!(session.user, "users/acme.sana");
    assert_eq!(session.issuer, "issuers/acme");
    assert_eq!(session.factors[0].factor(), wire::Factor::Issuer);
    let get = wire::GetUserRequest { name: session.user };
    let user = world.admin().users().get_user(get).await.expect("a user");
    let user = user.into_inner().user.expect("a user");
    assert_eq!(
        (user.issuer.as_str(), user.subject.as_str()),
        (ISSUER, "s-1")
    );
    assert_eq!(user.display_name, "Sana L.");
    assert_eq!(user.labels["team"], "dev");
    assert!(!user.password_set);

    // The same one again, and another who claims the same name.
    let again = world
        .show(&key.token_with("s-1", &json!({ "name": "S. L." })))
        .await;
    let again = again.expect("in").session.expect("a session");
    assert_eq!(again.user, "users/acme.sana");
    let get = wire::GetUserRequest { name: again.user };
    let user = world.admin().users().get_user(get).await.expect("a user");
    let user = user.into_inner().user.expect("a user");
    assert_eq!(user.display_name, "S. L.");
    assert_eq!(user.labels.get("team"), None, "gone with its claim");
    let other = world
        .show(&key.token_with("s-2", &claims))
        .await
        .expect("in");
    let other = other.session.expect("a session").user;
    assert!(other.starts_with("users/acme."), "{other}");
    assert_ne!(other, "users/acme.sana");

    let list = wire::ListAuditEventsRequest {
        filter: "action = \"SessionService.CreateSession\"".into(),
        ..Default::default()
    };
    let events = world
        .admin()
        .audit()
        .list_audit_events(list)
        .await
        .expect("events");
    let events = events.into_inner().audit_events;
    assert_eq!(events.len(), 3);
    assert_eq!(events[0].target, "username=acme.sana issuer=issuers/acme");
}

#[tokio::test]
async fn nobody_is_taken_for_another_because_two_names_are_equal() {
    let world = World::start().await;
    let (one, two) = (SigningKey::new(1, "k"), SigningKey::new(2, "k"));
    world.user("sana", "correct horse").await;
    world.trust("one", issuer(&[&one])).await;
    let other = wire::Issuer {
        issuer: "https://other.example".into(),
        ..issuer(&[&two])
    };
    world.trust("two", other).await;
    let user = |opened: wire::CreateSessionResponse| opened.session.expect("a session").user;
    let first = user(world.show(&one.token("sana")).await.expect("in"));
    let claims = json!({ "iss": "https://other.example" });
    let second = user(
        world
            .show(&two.token_with("sana", &claims))
            .await
            .expect("in"),
    );
    assert!(first != second && first != "users/sana" && second != "users/sana");
    // A key of one says nothing about the other's.
    let crossed = world.show(&two.token("sana")).await.expect_err("refused");
    assert_eq!(reason(&crossed), "TOKEN_REFUSED");
}

#[tokio::test]
async fn an_issuer_that_makes_no_users_signs_in_those_who_were_made() {
    let world = World::start().await;
    let key = SigningKey::new(1, "one");
    let given = wire::Issuer {
        creates_users: false,
        ..issuer(&[&key])
    };
    world.trust("acme", given).await;
    let unknown = world.show(&key.token("s-1")).await.expect_err("nobody");
    assert_eq!(reason(&unknown), "TOKEN_REFUSED");
    let make = |user_id: &str| wire::CreateUserRequest {
        user_id: user_id.to_owned(),
        user: Some(wire::User {
            issuer: ISSUER.into(),
            subject: "s-1".into(),
            ..wire::User::default()
        }),
        ..Default::default()
    };
    let mut users = world.admin().users();
    users.create_user(make("sana")).await.expect("made");
    let opened = world.show(&key.token("s-1")).await.expect("in");
    assert_eq!(opened.session.expect("a session").user, "users/sana");
    let twice = users.create_user(make("other")).await.expect_err("taken");
    assert_eq!(twice.code(), Code::AlreadyExists);

    let disable = wire::DisableUserRequest {
        name: "users/sana".into(),
        ..Default::default()
    };
    users.disable_user(disable).await.expect("disabled");
    let disabled = world.show(&key.token("s-1")).await.expect_err("disabled");
    assert_eq!(reason(&disabled), "TOKEN_REFUSED");
}

#[tokio::test]
async fn what_is_no_good_token_is_refused_with_the_rule_it_breaks() {
    let world = World::start().await;
    let key = SigningKey::new(1, "one");
    world.trust("acme", issuer(&[&key])).await;
    let thief = SigningKey::new(2, "one");
    let unknown = SigningKey::new(1, "unknown");
    let long = "a".repeat(16 * 1024 + 1);
    for (token, rule) in [
        ("phs_nonsense".to_owned(), "not a JWT"),
        ("a.b.c".to_owned(), "not a JWT"),
        (long, "longer than"),
        (thief.token("s-1"), "signature"),
        (unknown.token("s-1"), "kid"),
        (key.token_with("s-1", &json!({ "aud": "other" })), "aud"),
        (
            key.token_with("s-1", &json!({ "exp": now() - 61 })),
            "expired",
        ),
        (
            key.token_with("s-1", &json!({ "nbf": now() + 90 })),
            "holds only in",
        ),
        (
            key.token_with("s-1", &json!({ "iss": "https://id.example/" })),
            "iss",
        ),
        (key.token(""), "sub"),
    ] {
        let refused = world.show(&token).await.expect_err(rule);
        assert_eq!(refused.code(), Code::Unauthenticated, "{rule}");
        assert_eq!(reason(&refused), "TOKEN_REFUSED", "{rule}");
        assert!(refused.message().contains(rule), "{rule}: {refused}");
    }
    let both = wire::CreateSessionRequest {
        username: "sana".into(),
        jwt: key.token("s-1"),
        ..Default::default()
    };
    let both = world.admin().sessions().create_session(both).await;
    assert_eq!(field(&both.expect_err("both")), "jwt");
}

#[tokio::test]
async fn a_session_ends_with_its_token_where_the_issuer_wants_it() {
    let world = World::start().await;
    let key = SigningKey::new(1, "one");
    let given = wire::Issuer {
        sessions_end_with_token: true,
        ..issuer(&[&key])
    };
    world.trust("acme", given).await;
    let exp = now() + 120;
    let opened = world
        .show(&key.token_with("s-1", &json!({ "exp": exp })))
        .await;
    let session = opened.expect("in").session.expect("a session");
    let expires = session.expire_time.expect("it does").seconds;
    assert_eq!(u64::try_from(expires), Ok(exp));
    let over = key.token_with("s-1", &json!({ "exp": now() - 5 }));
    let over = world.show(&over).await.expect_err("over");
    assert_eq!(
        reason(&over),
        "TOKEN_REFUSED",
        "within the leeway, and over"
    );
}

#[tokio::test]
async fn a_key_that_is_taken_out_ends_its_sessions_and_no_others() {
    let world = World::start().await;
    let (old, new) = (SigningKey::new(1, "old"), SigningKey::new(2, "new"));
    let made = world.trust("acme", issuer(&[&old, &new])).await;
    let by_old = world.show(&old.token("s-1")).await.expect("in");
    let by_new = world.show(&new.token("s-1")).await.expect("in");
    world.user("sana", "correct horse").await;
    let by_password = world.sign_in("sana", "correct horse").await.expect("in");

    let update = wire::UpdateIssuerRequest {
        issuer: Some(wire::Issuer {
            jwks: key_set(&[&new]),
            ..made.issuer.expect("an issuer")
        }),
        update_mask: Some(mask(&["jwks"])),
        validate_only: false,
    };
    let updated = world.admin().issuers().update_issuer(update).await;
    let updated = updated.expect("changed").into_inner();
    assert!(updated.revision > by_password.revision, "nodes are told");
    assert!(!world.lives(&by_old).await);
    assert!(world.lives(&by_new).await && world.lives(&by_password).await);
    let refused = world.show(&old.token("s-1")).await.expect_err("withdrawn");
    assert_eq!(reason(&refused), "TOKEN_REFUSED");
}

#[tokio::test]
async fn an_issuer_that_is_disabled_or_deleted_ends_its_sessions_and_comes_back() {
    let world = World::start().await;
    let key = SigningKey::new(1, "one");
    let made = world.trust("acme", issuer(&[&key])).await;
    let mut issuers = world.admin().issuers();
    let disabled = |disabled| wire::UpdateIssuerRequest {
        issuer: Some(wire::Issuer {
            name: "issuers/acme".into(),
            audiences: vec!["porthouse".into()],
            disabled,
            ..wire::Issuer::default()
        }),
        update_mask: Some(mask(&["disabled"])),
        validate_only: false,
    };
    let opened = world.show(&key.token("s-1")).await.expect("in");
    let update = issuers
        .update_issuer(disabled(true))
        .await
        .expect("disabled");
    assert!(update.into_inner().revision > opened.revision);
    assert!(!world.lives(&opened).await);
    assert!(world.show(&key.token("s-1")).await.is_err());
    issuers
        .update_issuer(disabled(false))
        .await
        .expect("enabled");
    let opened = world.show(&key.token("s-1")).await.expect("in");

    let delete = |validate_only| wire::DeleteIssuerRequest {
        name: "issuers/acme".into(),
        validate_only,
        ..Default::default()
    };
    issuers.delete_issuer(delete(true)).await.expect("it may");
    assert!(world.lives(&opened).await);
    let stale = wire::DeleteIssuerRequest {
        etag: made.issuer.expect("an issuer").etag,
        ..delete(false)
    };
    let stale = issuers.delete_issuer(stale).await.expect_err("stale");
    assert_eq!(stale.code(), Code::Aborted);
    let deleted = issuers.delete_issuer(delete(false)).await.expect("gone");
    assert!(deleted.into_inner().revision > opened.revision);
    assert!(!world.lives(&opened).await);
    let gone = issuers
        .delete_issuer(delete(false))
        .await
        .expect_err("gone");
    assert_eq!(gone.code(), Code::NotFound);

    // Its users are who they were once it is trusted again.
    let user = opened.session.expect("a session").user;
    world.trust("again", issuer(&[&key])).await;
    let back = world.show(&key.token("s-1")).await.expect("in");
    assert_eq!(back.session.expect("a session").user, user);
}

#[tokio::test]
async fn an_issuer_of_more_sessions_than_one_revision_tells_is_withdrawn_whole() {
    let world = World::start().await;
    let key = SigningKey::new(1, "one");
    world.trust("acme", issuer(&[&key])).await;
    let first = world.show(&key.token("s-1")).await.expect("in");
    // As 2,500 sign-ins would leave them.
    world
        .execute(
            "INSERT INTO sessions (id, user_id, token_sha256, expire_time, issuer_id, issuer_key)
             SELECT gen_random_uuid(), user_id, sha256(number::text::bytea), expire_time,
                    issuer_id, issuer_key
             FROM sessions, generate_series(1, 2500) AS number",
        )
        .await;
    let delete = wire::DeleteIssuerRequest {
        name: "issuers/acme".into(),
        ..Default::default()
    };
    let deleted = world.admin().issuers().delete_issuer(delete).await;
    let deleted = deleted.expect("gone").into_inner();
    assert_eq!(deleted.revision, first.revision + 3, "three slices");
    let list = wire::ListSessionsRequest::default();
    let left = world
        .admin()
        .sessions()
        .list_sessions(list)
        .await
        .expect("a page");
    assert_eq!(left.into_inner().sessions.len(), 0);
}
