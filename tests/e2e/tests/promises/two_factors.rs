//! A user with a second factor signs in at a node by name, password and code. Each
//! code counts once, wherever it is shown.

use porthouse_api::control::v1 as control;
use porthouse_e2e::backend::Enrolled;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use serde_json::{Value, json};
use tonic::Code;
use totp_rs::{Builder, Secret, Totp};

use crate::codes::now;

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn a_password_alone_signs_nobody_in_who_has_a_second_factor() {
    let (house, ada) = house_of_ada().await;
    let mut socket = house.multiplexed().await;
    let challenge = by_password(&mut socket).await;
    assert_eq!(challenge["op"], "challenge", "{challenge}");
    assert_eq!(challenge["step"], "second_factor");
    assert!(challenge["expires_ms"].as_u64().is_some(), "{challenge}");
    let wrong = by_code(&mut socket, "000000").await;
    assert_eq!(
        (&wrong["op"], &wrong["code"]),
        (&json!("refused"), &json!(4112))
    );
    let signed_in = by_code(&mut socket, &ada.recovery_codes[0]).await;
    assert_eq!(signed_in["op"], "authenticated", "{signed_in}");
    assert_eq!(signed_in["username"], "ada");

    // Of an app's code and a recovery code none counts again.
    let mut other = house.multiplexed().await;
    by_password(&mut other).await;
    let used = by_code(&mut other, &ada.recovery_codes[0]).await;
    assert_eq!(used["code"], 4112, "{used}");
    let mut third = house.multiplexed().await;
    by_password(&mut third).await;
    let code = code_now(&ada.secret);
    let (first, second) = (
        by_code(&mut other, &code).await,
        by_code(&mut third, &code).await,
    );
    // The code that confirmed the second factor may be this very one.
    let opened = [&first, &second]
        .iter()
        .filter(|told| told["op"] == "authenticated")
        .count();
    assert!(opened <= 1, "{first} {second}");
    drop((socket, other, third));
    house.close().await;
}

#[tokio::test]
async fn wrong_codes_are_counted_by_user_whatever_socket_they_come_from() {
    let (house, _) = house_of_ada().await;
    let mut told = Value::Null;
    for _ in 0..20 {
        let mut socket = house.multiplexed().await;
        by_password(&mut socket).await;
        told = by_code(&mut socket, "000000").await;
        if told["code"] == 4209 {
            break;
        }
        assert_eq!(told["code"], 4112, "{told}");
    }
    assert_eq!(told["code"], 4209, "{told}");
    assert_eq!(told["retry"], "after");
    house.close().await;
}

#[tokio::test]
async fn a_code_of_a_clock_that_is_an_hour_off_is_refused_with_the_advice_to_look_at_it() {
    let (house, ada) = house_of_ada().await;
    let mut sessions = house.backend().sessions();
    for later in [3_600, -3_600] {
        let request = control::CreateSessionRequest {
            username: "ada".to_owned(),
            password: PASSWORD.to_owned(),
            ..Default::default()
        };
        let begun = sessions.create_session(request).await;
        let begun = begun.expect("the right password").into_inner();
        let challenge = begun.second_factor_challenge.expect("a code is missing");
        let request = control::CompleteSessionRequest {
            challenge: challenge.challenge,
            code: code_at(&ada.secret, later),
        };
        let refused = sessions.complete_session(request).await;
        let status = refused.expect_err("it is of another hour");
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        assert!(
            status.message().contains("the clock of the device"),
            "{status:?}"
        );
    }
    house.close().await;
}

async fn house_of_ada() -> (House, Enrolled) {
    let house = House::start().await;
    house.backend().make_user("ada", PASSWORD).await;
    let ada = house.backend().enrol("ada", code_now).await;
    (house, ada)
}

/// What an app with this secret shows now.
pub(crate) fn code_now(secret: &str) -> String {
    let secret = Secret::try_from_base32(secret).expect("base32");
    let app: Totp = Builder::new().with_secret(secret).build_noncompliant();
    app.generate_current().to_string()
}

/// What it shows where the clock is wrong by so many seconds.
fn code_at(secret: &str, later_seconds: i64) -> String {
    let secret = Secret::try_from_base32(secret).expect("base32");
    let app: Totp = Builder::new().with_secret(secret).build_noncompliant();
    let at = now().checked_add_signed(later_seconds);
    app.generate(at.expect("after 1970")).to_string()
}

async fn by_password(socket: &mut Multiplexed) -> Value {
    let fields = json!({"username": "ada", "password": PASSWORD});
    socket.ask("auth", fields).await
}

async fn by_code(socket: &mut Multiplexed, code: &str) -> Value {
    socket.ask("auth", json!({"code": code})).await
}
