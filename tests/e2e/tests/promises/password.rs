//! A room's password is asked for over `porthouse.v1`, and a raw socket is told
//! where. Never signs anybody in.

use porthouse_api::control::v1::Room;
use porthouse_e2e::house::House;
use porthouse_e2e::raw::Raw;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

const PASSWORD: &str = "open sesame, please";
const WRONG: &str = "open barley, please";

#[tokio::test]
async fn a_wrong_password_is_asked_again_and_the_right_one_lets_in() {
    let house = house_with_password().await;
    let mut first = house.multiplexed().await;
    let challenge = first.ask("join", json!({"room": "cave"})).await;
    assert_eq!(challenge["op"], "challenge", "{challenge}");
    assert_eq!(challenge["step"], "password");
    assert_eq!(challenge["attempts_left"], 3);
    let again = first.ask("answer", answer(&house, WRONG)).await;
    assert_eq!(again["op"], "challenge", "{again}");
    assert_eq!(again["attempts_left"], 2);
    let admitted = first.ask("answer", answer(&house, PASSWORD)).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");

    let mut second = house.multiplexed().await;
    second.ask("join", json!({"room": "cave"})).await;
    let admitted = second.ask("answer", answer(&house, PASSWORD)).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");
    let send = json!({"op": "send", "room": "cave"});
    second.say_line(&send, Message::text("forty thieves")).await;
    assert_eq!(first.message("cave").await, Message::text("forty thieves"));
    drop((first, second));
    house.close().await;
}

#[tokio::test]
async fn a_password_that_stays_wrong_ends_the_entry_and_not_the_socket() {
    let house = house_with_password().await;
    let mut client = house.multiplexed().await;
    client.ask("join", json!({"room": "cave"})).await;
    for left in [2, 1] {
        let again = client.ask("answer", answer(&house, WRONG)).await;
        assert_eq!(again["attempts_left"], left, "{again}");
    }
    let refused = client.ask("answer", answer(&house, WRONG)).await;
    assert_eq!(refused["op"], "refused", "{refused}");
    assert_eq!(refused["code"], 4105);
    assert_eq!(refused["rule"], "entry.password");
    assert_eq!(refused["retry"], "authenticate");
    // Nothing was said in the room, and the socket is free to ask for others.
    let send = json!({"room": "cave"});
    let unheard = client
        .ask_with("send", send, Message::text("let me in"))
        .await;
    assert_eq!(unheard["op"], "error", "{unheard}");
    client.join("elsewhere").await;
    drop(client);
    house.close().await;
}

#[tokio::test]
async fn a_raw_socket_is_told_where_the_password_is_asked() {
    let house = house_with_password().await;
    let refused = Raw::refused(house.ws(), "cave", None).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.body["code"], 4104);
    let needed = refused.body["needed"].as_str().expect("it says what");
    assert!(needed.contains("porthouse.v1"), "{needed}");
    house.close().await;
}

async fn house_with_password() -> House {
    let house = House::start().await;
    house.backend().make_room("cave", Room::default()).await;
    let revision = house.backend().set_room_password("cave", PASSWORD).await;
    house.backend().applied(revision).await;
    house
}

/// An answer, its password kept as a secret: a wrong one may be nearly right.
fn answer(house: &House, password: &str) -> serde_json::Value {
    let password = house.secrets().keep("an answered password", password);
    json!({"room": "cave", "password": password})
}
