//! Users: names, passwords, etags, masks, pages.

use porthouse_api::control::v1 as wire;
use tonic::Code;

use crate::world::{World, details, field, mask, reason};

#[tokio::test]
async fn a_username_equal_but_for_its_case_is_taken() {
    let world = World::start().await;
    assert_eq!(
        world.user("Sana", "").await.user.expect("a user").name,
        "users/sana"
    );
    let request = wire::CreateUserRequest {
        user_id: "SANA".into(),
        ..Default::default()
    };
    let status = world
        .admin()
        .users()
        .create_user(request)
        .await
        .expect_err("taken");
    assert_eq!(status.code(), Code::AlreadyExists);
    let resource = details(&status)
        .resource_info()
        .expect("the resource")
        .clone();
    assert_eq!(resource.resource_name, "users/sana");
}

#[tokio::test]
async fn what_is_out_of_profile_is_refused_with_its_field() {
    let world = World::start().await;
    let mut users = world.admin().users();
    for user_id in [
        "",
        "a b",
        "..",
        "%2f",
        "*",
        "a\u{202e}b",
        &"u".repeat(10_000),
    ] {
        let request = wire::CreateUserRequest {
            user_id: user_id.into(),
            ..Default::default()
        };
        let status = users.create_user(request).await.expect_err("no name");
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, "user_id")
        );
        assert!(status.message().contains("1 to 64"), "{}", status.message());
    }
    for password in ["short", "with a nul \0 byte", &"p".repeat(1025)] {
        let request = wire::CreateUserRequest {
            user_id: "sana".into(),
            password: password.into(),
            ..Default::default()
        };
        let status = users.create_user(request).await.expect_err("no password");
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, "password")
        );
        assert!(!status.message().contains(password));
    }
}

#[tokio::test]
async fn a_stale_etag_is_aborted() {
    let world = World::start().await;
    let old = world.user("sana", "").await.user.expect("a user");
    let mut users = world.admin().users();
    let update = |etag: &str, display_name: &str| wire::UpdateUserRequest {
        user: Some(wire::User {
            name: "users/sana".into(),
            etag: etag.into(),
            display_name: display_name.into(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["display_name"])),
        validate_only: false,
    };
    let new = users
        .update_user(update(&old.etag, "Sana"))
        .await
        .expect("fresh")
        .into_inner();
    assert_ne!(new.user.expect("a user").etag, old.etag);
    let status = users
        .update_user(update(&old.etag, "Other"))
        .await
        .expect_err("stale");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Aborted, "ETAG_STALE")
    );
    users
        .update_user(update("", "Other"))
        .await
        .expect("without an etag");
}

#[tokio::test]
async fn an_unknown_mask_path_is_named() {
    let world = World::start().await;
    world.user("sana", "").await;
    let request = wire::UpdateUserRequest {
        user: Some(wire::User {
            name: "users/sana".into(),
            ..Default::default()
        }),
        update_mask: Some(mask(&["display_name", "disabled"])),
        validate_only: false,
    };
    let status = world
        .admin()
        .users()
        .update_user(request)
        .await
        .expect_err("unknown");
    assert_eq!(
        (status.code(), field(&status).as_str()),
        (Code::InvalidArgument, "update_mask")
    );
    assert!(
        status.message().contains("`disabled`"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn a_rehearsed_write_checks_everything_and_leaves_nothing() {
    let world = World::start().await;
    let request = |user_id: &str| wire::CreateUserRequest {
        user_id: user_id.into(),
        validate_only: true,
        ..Default::default()
    };
    let mut users = world.admin().users();
    let made = users
        .create_user(request("sana"))
        .await
        .expect("valid")
        .into_inner();
    assert_eq!(made.revision, 0);
    let get = wire::GetUserRequest {
        name: "users/sana".into(),
    };
    assert_eq!(
        users.get_user(get).await.expect_err("not kept").code(),
        Code::NotFound
    );
    world.user("sana", "").await;
    let status = users.create_user(request("sana")).await.expect_err("taken");
    assert_eq!(status.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn pages_hold_every_user_once_and_a_forged_page_token_is_refused() {
    let world = World::start().await;
    for name in ["ada", "bea", "bob", "cy", "dee"] {
        world.user(name, "").await;
    }
    let mut users = world.admin().users();
    let list = |page_token: &str, prefix: &str| wire::ListUsersRequest {
        page_size: 2,
        page_token: page_token.into(),
        user_id_prefix: prefix.into(),
        ..Default::default()
    };
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = users
            .list_users(list(&token, ""))
            .await
            .expect("a page")
            .into_inner();
        names.extend(page.users.into_iter().map(|user| user.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        let status = users
            .list_users(list(&token, "b"))
            .await
            .expect_err("another listing");
        assert_eq!(field(&status), "page_token");
    }
    assert_eq!(
        names,
        [
            "users/ada",
            "users/bea",
            "users/bob",
            "users/cy",
            "users/dee"
        ]
    );
    let page = users
        .list_users(list("", "B"))
        .await
        .expect("a page")
        .into_inner();
    assert_eq!(page.users.len(), 2);
    for forged in ["forged", "!", "AAAAAAAAAAAAAAAA"] {
        let status = users
            .list_users(list(forged, ""))
            .await
            .expect_err("forged");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_user_made_again_is_another_one() {
    let world = World::start().await;
    let old = world.user("sana", "").await.user.expect("a user");
    let mut users = world.admin().users();
    let delete = |etag: &str| wire::DeleteUserRequest {
        name: "users/sana".into(),
        etag: etag.into(),
        ..Default::default()
    };
    users.delete_user(delete(&old.etag)).await.expect("there");
    let new = world.user("sana", "").await.user.expect("a user");
    assert_ne!(new.uid, old.uid);
    let status = users
        .delete_user(delete(&old.etag))
        .await
        .expect_err("stale");
    assert_eq!(status.code(), Code::Aborted);
}

#[tokio::test]
async fn a_username_equal_but_for_its_width_is_taken() {
    let world = World::start().await;
    world.user("sana", "correct horse").await;
    let wide = "\u{ff33}\u{ff21}na";
    let request = wire::CreateUserRequest {
        user_id: wide.into(),
        ..Default::default()
    };
    let status = world.admin().users().create_user(request).await;
    assert_eq!(status.expect_err("taken").code(), Code::AlreadyExists);
    let opened = world.sign_in(wide, "correct horse").await.expect("she");
    assert_eq!(opened.session.expect("a session").user, "users/sana");
}

#[tokio::test]
async fn a_filter_lists_whoever_all_of_it_holds_of() {
    let world = World::start().await;
    let mut users = world.admin().users();
    for (user_id, team) in [("ada", "x"), ("bea", "x\"y"), ("bob", "x"), ("cy", "")] {
        let request = wire::CreateUserRequest {
            user_id: user_id.into(),
            user: Some(wire::User {
                labels: [("team".to_owned(), team.to_owned())].into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        users.create_user(request).await.expect("a user");
    }
    let disable = wire::DisableUserRequest {
        name: "users/bob".into(),
        ..Default::default()
    };
    users.disable_user(disable).await.expect("there");
    let mut listed = async |filter: &str| {
        let request = wire::ListUsersRequest {
            filter: filter.into(),
            ..Default::default()
        };
        let page = users
            .list_users(request)
            .await
            .map(tonic::Response::into_inner);
        page.map(|page| {
            let names = page
                .users
                .iter()
                .map(|user| user.name["users/".len()..].to_owned());
            names.collect::<Vec<_>>().join(" ")
        })
    };
    for (filter, wanted) in [
        ("", "ada bea bob cy"),
        ("disabled = true", "bob"),
        ("disabled = false AND labels.team = \"x\"", "ada"),
        ("labels.team = \"x\\\"y\"", "bea"),
        ("labels.team = \"\"", "cy"),
        ("username = \"B*\"", "bea bob"),
        ("username = \"B*\" AND username = \"bob\"", "bob"),
        ("username = \"a*\" AND username = \"b*\"", ""),
        ("labels.team = \"' OR true --\"", ""),
        ("labels.other = \"x\"", ""),
    ] {
        assert_eq!(listed(filter).await.expect(filter), wanted, "{filter}");
    }
    for filter in [
        "name = \"ada\"",
        "disabled = \"true\"",
        "username = true",
        "labels",
    ] {
        let status = listed(filter).await.expect_err(filter);
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, "filter")
        );
    }
}

#[tokio::test]
async fn a_filtered_listing_has_pages_of_its_own() {
    let world = World::start().await;
    for name in ["ada", "bea", "bob"] {
        world.user(name, "").await;
    }
    let mut users = world.admin().users();
    let list = |filter: &str, page_token: String| wire::ListUsersRequest {
        page_size: 1,
        page_token,
        filter: filter.into(),
        ..Default::default()
    };
    let enabled = "disabled = false";
    let first = users.list_users(list(enabled, String::new())).await;
    let token = first.expect("a page").into_inner().next_page_token;
    let second = users.list_users(list(enabled, token.clone())).await;
    let second = second.expect("a page").into_inner();
    assert_eq!(second.users[0].name, "users/bea");
    let other = users.list_users(list("disabled = true", token)).await;
    assert_eq!(field(&other.expect_err("another listing")), "page_token");
}

#[tokio::test]
async fn what_is_rehearsed_on_a_user_leaves_it_and_its_sessions_as_they_were() {
    let world = World::start().await;
    let before = world.user("sana", "correct horse").await.user;
    let opened = world.sign_in("sana", "correct horse").await.expect("right");
    let mut users = world.admin().users();
    let (name, validate_only) = (|| "users/sana".to_owned(), true);
    let delete = wire::DeleteUserRequest {
        name: name(),
        validate_only,
        ..Default::default()
    };
    let deleted = users.delete_user(delete).await.expect("it could be");
    assert_eq!(deleted.into_inner().revision, 0);
    let set = wire::SetPasswordRequest {
        name: name(),
        password: "another horse".into(),
        validate_only,
        ..Default::default()
    };
    users.set_password(set).await.expect("it could be");
    let disable = wire::DisableUserRequest {
        name: name(),
        validate_only,
        ..Default::default()
    };
    let disabled = users.disable_user(disable).await.expect("it could be");
    assert!(disabled.into_inner().user.expect("a user").disabled);
    let get = wire::GetUserRequest { name: name() };
    let after = users.get_user(get).await.expect("there").into_inner().user;
    assert_eq!(after, before);
    let get = wire::GetSessionRequest {
        name: opened.session.expect("a session").name,
    };
    world
        .admin()
        .sessions()
        .get_session(get)
        .await
        .expect("live");
    let stale = wire::DeleteUserRequest {
        name: name(),
        etag: "stale".into(),
        validate_only,
    };
    let status = users.delete_user(stale).await.expect_err("stale");
    assert_eq!(status.code(), Code::Aborted);
}
