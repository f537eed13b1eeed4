//! A room whose owner lets people in: who waits is shown to the owner, who admits
//! one and sends another away, whichever way each of them speaks. What a backend
//! decides of it stands in `moderation`.

use porthouse_api::control::v1::{ApprovalStep, Room, entry_step};
use porthouse_e2e::entry::{Entry, Form};
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use serde_json::{Value, json};

use crate::shapes::asking;

#[tokio::test]
async fn an_owner_sees_who_waits_and_admits_one_and_refuses_another() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let room = Room {
        owner: "users/ada".to_owned(),
        ..asking(vec![entry_step::Kind::Approval(ApprovalStep {})])
    };
    backend.applied(backend.make_room("den", room).await).await;
    let mut owner = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    owner.event("authenticated").await;
    owner.join("den").await;
    for form in Form::ALL {
        let (mut friend, asked) = Entry::knock(house.ws(), form, "den", None).await;
        assert_waits(&asked);
        let waiting = owner.event("waiting").await;
        let friends = clients(&waiting);
        assert_eq!((&waiting["count"], friends.len()), (&json!(1), 1));
        let (mut stranger, asked) = Entry::knock(house.ws(), form, "den", None).await;
        assert_waits(&asked);
        let waiting = owner.event("waiting").await;
        assert_eq!(waiting["count"], 2, "{waiting}");
        let strangers = clients(&waiting);
        let strangers = strangers.iter().filter(|client| !friends.contains(client));
        let strangers: Vec<&String> = strangers.collect();

        decide(&mut owner, "admit", &friends[0]).await;
        let admitted = friend.told().await;
        assert_eq!(admitted["op"], "admitted", "{form:?}: {admitted}");
        assert_eq!(admitted["client"], friends[0]);
        friend.start().await;
        assert_eq!(owner.event("waiting").await["count"], 1);
        decide(&mut owner, "refuse", strangers[0]).await;
        let refused = stranger.told().await;
        let refused = (&refused["op"], &refused["code"], &refused["rule"]);
        let expected = (&json!("refused"), &json!(4010), &json!("entry.approval"));
        assert_eq!(refused, expected, "{form:?}");
        assert_eq!(owner.event("waiting").await["count"], 0);

        friend.say("thank you").await;
        assert_eq!(owner.message("den").await.to_string(), "thank you");
    }
    drop(owner);
    house.close().await;
}

fn assert_waits(told: &Value) {
    assert_eq!(told["op"], "challenge", "{told}");
    assert_eq!(told["step"], "approval", "{told}");
    assert_eq!(
        told["attempts_left"],
        Value::Null,
        "there is nothing to answer"
    );
}

fn clients(waiting: &Value) -> Vec<String> {
    let clients = waiting["clients"].as_array().expect("a list");
    let clients = clients
        .iter()
        .map(|client| client.as_str().expect("an id").to_owned());
    clients.collect()
}

async fn decide(owner: &mut Multiplexed, op: &str, client: &str) {
    let fields = json!({ "room": "den", "client": client });
    let decided = owner.ask(op, fields).await;
    assert_eq!(decided["op"], "decided", "{decided}");
}
