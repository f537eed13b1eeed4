//! A page signs in at its node and gets a cookie that only it may use: from there on
//! its sockets are the user's, and another page's are not.

use std::net::SocketAddr;

use porthouse_e2e::house::House;
use porthouse_e2e::wire::{Answer, Wire};
use serde_json::{Value, json};

use crate::two_factors::code_now;

const PASSWORD: &str = "correct horse battery";
const V1: &str = "Sec-WebSocket-Protocol: porthouse.v1";
const EVIL: &str = "Origin: https://evil.example";

#[tokio::test]
async fn a_page_signs_in_and_its_sockets_are_the_users_until_it_signs_out() {
    let house = House::start().await;
    house.backend().make_user("ada", PASSWORD).await;
    let own = format!("Origin: http://{}", house.ws());
    let signed_in = sign_in(&house, &[&own], &by_password()).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.body);
    assert_eq!(signed_in.json()["username"], "ada");
    assert!(
        !signed_in.body.contains("phs_"),
        "no script may have the token"
    );
    let set = signed_in.header("set-cookie").expect("a cookie").to_owned();
    for part in [
        "__Host-porthouse=phs_",
        "; Path=/;",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Lax",
    ] {
        assert!(set.contains(part), "{part}");
    }
    let cookie = cookie_of(&house, &set);

    let mut page = Wire::open(house.ws(), "/", &[V1, &own, &cookie]).await;
    let told = text(&mut page).await;
    assert_eq!(
        (&told["op"], &told["username"]),
        (&json!("authenticated"), &json!("ada"))
    );
    foreign_pages_are_refused(&house, &cookie).await;
    let twice = format!("{cookie}; __Host-porthouse=planted");
    let (_, refused) = Wire::upgrade(house.ws(), "/lobby", &[&twice, "Host-Of: none"]).await;
    assert_eq!((refused.status, rule(&refused)), (400, json!("credential")));
    let planted = cookie.replace("__Host-", "");
    let mut nobody = Wire::open(house.ws(), "/", &[V1, &own, &planted]).await;
    nobody.send_frame(0x81, br#"{"op":"ping","id":1}"#).await;
    assert_eq!(
        text(&mut nobody).await["op"],
        "pong",
        "a planted cookie signs nobody in"
    );

    let delete = |origin: &str| format!("DELETE /-/session HTTP/1.1\r\n{origin}\r\n{cookie}");
    let foreign = ask(house.ws(), &delete(EVIL), "").await;
    assert_eq!(
        (foreign.status, rule(&foreign)),
        (403, json!("page.origin"))
    );
    let signed_out = ask(house.ws(), &delete(&own), "").await;
    assert_eq!(signed_out.status, 204);
    let cleared = signed_out.header("set-cookie").expect("it is cleared");
    assert!(cleared.starts_with("__Host-porthouse=;") && cleared.contains("Max-Age=0"));
    assert_eq!(page.closed().await.code, 4101);
    let late = ask(house.ws(), &delete(&own), "").await;
    assert_eq!(late.status, 204, "who has no session is signed out");
    house.close().await;
}

#[tokio::test]
async fn a_browser_that_is_known_signs_in_while_others_of_its_network_must_wait() {
    let house = House::start().await;
    house.backend().make_user("ada", PASSWORD).await;
    let first = sign_in(&house, &[], &by_password()).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let set = first.headers("set-cookie");
    let mark = set
        .iter()
        .find(|set| set.starts_with("__Host-porthouse-device=phd_"));
    let mark = mark.expect("it is known from now on");
    for part in ["; Path=/;", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
        assert!(mark.contains(part), "{part}");
    }
    let known = cookie_of(&house, mark);
    let wrong = json!({"username": "ada", "password": "wrong horse"});
    let later = loop {
        let refused = sign_in(&house, &[], &wrong).await;
        if refused.status != 401 {
            break refused;
        }
    };
    assert_eq!((later.status, rule(&later)), (429, json!("sign_in")));
    let asked = sign_in(&house, &[], &by_password()).await;
    assert_eq!(asked.status, 429, "whoever is not known waits");
    let again = sign_in(&house, &[&known], &by_password()).await;
    assert_eq!(again.status, 200, "{}", again.body);
    let set = again.headers("set-cookie");
    assert_eq!(set.len(), 1, "it keeps its mark");
    house.close().await;
}

async fn foreign_pages_are_refused(house: &House, cookie: &str) {
    let (mut wire, upgraded) = Wire::upgrade(house.ws(), "/", &[V1, EVIL, cookie]).await;
    assert_eq!(
        upgraded.status, 101,
        "a browser shows its page no more than a close"
    );
    let closed = wire.closed().await;
    assert!(closed.reason.starts_with("page.origin"), "{closed:?}");
    let (_, refused) = Wire::upgrade(house.ws(), "/lobby", &[cookie]).await;
    assert_eq!(
        (refused.status, rule(&refused)),
        (403, json!("page.origin"))
    );
    let post = format!("POST /lobby HTTP/1.1\r\n{EVIL}\r\n{cookie}");
    let refused = ask(house.ws(), &post, "hello").await;
    assert_eq!(
        (refused.status, rule(&refused)),
        (403, json!("page.origin"))
    );
}

#[tokio::test]
async fn a_page_of_a_user_with_a_second_factor_shows_a_code_too() {
    let house = House::start().await;
    house.backend().make_user("ada", PASSWORD).await;
    let ada = house.backend().enrol("ada", code_now).await;
    let waits = sign_in(&house, &[], &by_password()).await;
    assert_eq!(waits.status, 202, "{}", waits.body);
    assert_eq!(waits.json()["step"], "second_factor");
    assert_eq!(waits.header("set-cookie"), None);
    let challenge = waits.json()["challenge"]
        .as_str()
        .expect("it is there")
        .to_owned();
    house.secrets().keep("a challenge", &challenge);
    let by_code = |code: &str| json!({"challenge": challenge, "code": code});
    let wrong = sign_in(&house, &[], &by_code("000000")).await;
    assert_eq!((wrong.status, rule(&wrong)), (403, json!("sign_in.code")));
    let right = sign_in(&house, &[], &by_code(&ada.recovery_codes[0])).await;
    assert_eq!(right.status, 200, "{}", right.body);
    cookie_of(&house, right.header("set-cookie").expect("a cookie"));
    let again = sign_in(&house, &[], &by_code(&ada.recovery_codes[1])).await;
    assert_eq!(
        (again.status, rule(&again)),
        (401, json!("sign_in.challenge"))
    );
    house.close().await;
}

#[tokio::test]
async fn what_is_no_sign_in_of_the_own_page_is_refused_with_the_rule() {
    let house = House::start().await;
    house.backend().make_user("ada", PASSWORD).await;
    let body = by_password().to_string();
    let json_type = "Content-Type: application/json";
    let form = "Content-Type: application/x-www-form-urlencoded";
    let long = json!({"username": "ada", "password": "p".repeat(21_000)}).to_string();
    for (lines, body, status, expected) in [
        (vec![json_type, EVIL], &body, 403, "page.origin"),
        (vec![json_type, "Origin: null"], &body, 403, "page.origin"),
        (
            vec![json_type, "Sec-Fetch-Site: cross-site"],
            &body,
            403,
            "page.origin",
        ),
        (vec![form], &body, 415, "http.content_type"),
        (vec![], &body, 415, "http.content_type"),
        (vec![json_type], &"{}".to_owned(), 400, "http.body"),
        (vec![json_type], &long, 413, "http.body"),
    ] {
        let head = format!("POST /-/session HTTP/1.1\r\n{}", lines.join("\r\n"));
        let refused = ask(house.ws(), head.trim_end(), body).await;
        assert_eq!(
            (refused.status, rule(&refused)),
            (status, json!(expected)),
            "{lines:?}"
        );
    }
    let wrong = json!({"username": "ada", "password": "wrong horse"});
    let wrong = sign_in(&house, &[], &wrong).await;
    assert_eq!((wrong.status, rule(&wrong)), (401, json!("sign_in")));
    let other = ask(house.ws(), "GET /-/session HTTP/1.1", "").await;
    assert_eq!((other.status, rule(&other)), (405, json!("http.method")));
    house.close().await;
}

fn by_password() -> Value {
    json!({"username": "ada", "password": PASSWORD})
}

async fn sign_in(house: &House, lines: &[&str], body: &Value) -> Answer {
    let mut head = "POST /-/session HTTP/1.1\r\nContent-Type: application/json".to_owned();
    for line in lines {
        head = format!("{head}\r\n{line}");
    }
    ask(house.ws(), &head, &body.to_string()).await
}

/// Asks over a connection of its own.
async fn ask(ws: SocketAddr, head: &str, body: &str) -> Answer {
    let mut wire = Wire::connect(ws).await;
    let length = body.len();
    let whole = format!("{head}\r\nHost: {ws}\r\nContent-Length: {length}\r\n\r\n{body}");
    wire.send(whole.as_bytes()).await;
    wire.answer().await
}

/// The cookie as a browser sends it back.
fn cookie_of(house: &House, set: &str) -> String {
    let pair = set.split(';').next().expect("a pair");
    let (_, token) = pair.split_once('=').expect("a pair");
    house.secrets().keep("a page's session token", token);
    format!("Cookie: theme=dark; {pair}")
}

async fn text(wire: &mut Wire) -> Value {
    let frame = wire.frame().await;
    serde_json::from_slice(&frame.payload).expect("a line")
}

fn rule(answer: &Answer) -> Value {
    answer.json()["rule"].clone()
}
