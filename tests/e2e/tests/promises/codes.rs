//! Codes at a room's door, over both wire forms that can be asked: those of the
//! client's own second factor, and those of the room. A code opens once, and the
//! last wrong one is refused. Never signs in by a code.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use porthouse_api::control::v1::{
    BeginTotpRequest, ConfirmTotpRequest, CreateRoomTemplateRequest, Room, SecondFactorStep,
    SetRoomCodeRequest, entry_step,
};
use porthouse_e2e::backend::SignedIn;
use porthouse_e2e::entry::{Entry, Form};
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::shapes::asking;

/// How long an app shows a code.
const STEP_SECONDS: u64 = 30;

/// An authenticator app.
pub(crate) struct App(Totp);

impl App {
    pub(crate) fn new(house: &House, what: &str, secret: &str) -> Self {
        let secret = Secret::try_from_base32(house.secrets().keep(what, secret));
        let secret = secret.expect("base32");
        Self(Builder::new().with_secret(secret).build_noncompliant())
    }

    /// The code it shows now, or so many steps later.
    pub(crate) fn shows(&self, later: u64) -> String {
        self.0.generate(now() + STEP_SECONDS * later).to_string()
    }

    /// A code it does not show for a while.
    fn wrong(&self) -> String {
        let first = now() - STEP_SECONDS * 4;
        let near = (0..9).map(|step| self.0.generate(first + STEP_SECONDS * step).to_string());
        let near: BTreeSet<String> = near.collect();
        let mut codes = (0..1_000_000).map(|code| format!("{code:06}"));
        codes
            .find(|code| !near.contains(code))
            .expect("few are near")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "codes are of the wall clock, here as on the plane"
)]
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

/// A user who signed in twice and then enrolled a second factor.
async fn enrolled(house: &House, user: &str) -> (App, [SignedIn; 2]) {
    let backend = house.backend();
    let first = backend.signed_in_user(user).await;
    let second = backend
        .sign_in(user, &format!("the password of {user}"))
        .await;
    let name = format!("users/{user}");
    let request = BeginTotpRequest { user: name.clone() };
    let begun = backend.second_factors().begin_totp(request).await;
    let given = begun.expect("a secret").into_inner();
    let app = App::new(house, "a second factor's secret", &given.secret);
    let confirm = ConfirmTotpRequest {
        user: name,
        code: app.shows(0),
    };
    let confirmed = backend.second_factors().confirm_totp(confirm).await;
    for code in confirmed.expect("it is right").into_inner().recovery_codes {
        house.secrets().keep("a recovery code", &code);
    }
    (app, [first, second])
}

async fn room_code(house: &House) -> App {
    code_of(house, "rooms/vault").await
}

async fn code_of(house: &House, of: &str) -> App {
    let request = SetRoomCodeRequest {
        room: of.to_owned(),
        etag: String::new(),
        ..Default::default()
    };
    let set = house.backend().doors().set_room_code(request).await;
    let set = set.expect("a code").into_inner();
    house.backend().applied(set.revision).await;
    App::new(house, "a room's code secret", &set.secret)
}

fn assert_asked(told: &Value, step: &str, attempts_left: u8) {
    let asked = (&told["op"], &told["step"], &told["attempts_left"]);
    let expected = (&json!("challenge"), &json!(step), &json!(attempts_left));
    assert_eq!(asked, expected, "{told}");
}

fn assert_refused(told: &Value, code: u16, rule: &str) {
    let refused = (&told["op"], &told["code"], &told["rule"]);
    let expected = (&json!("refused"), &json!(code), &json!(rule));
    assert_eq!(refused, expected, "{told}");
}

/// One wrong code, then the right one, which lets in; and at the same door, by
/// another socket, the used one and two wrong ones, which do not.
async fn once(
    house: &House,
    form: Form,
    step: &str,
    tokens: [Option<&str>; 2],
    app: &App,
) -> Entry {
    let refusal = match step {
        "second_factor" => 4108,
        _ => 4110,
    };
    let right = app.shows(1);
    let (mut first, asked) = Entry::knock(house.ws(), form, "vault", tokens[0]).await;
    assert_asked(&asked, step, 3);
    assert_asked(&first.answer("code", &app.wrong()).await, step, 2);
    let admitted = first.answer("code", &right).await;
    assert_eq!(admitted["op"], "admitted", "{form:?}: {admitted}");
    first.start().await;

    let (mut second, asked) = Entry::knock(house.ws(), form, "vault", tokens[1]).await;
    assert_asked(&asked, step, 3);
    assert_asked(&second.answer("code", &right).await, step, 2);
    assert_asked(&second.answer("code", &app.wrong()).await, step, 1);
    let refused = second.answer("code", &app.wrong()).await;
    assert_refused(&refused, refusal, &format!("entry.{step}"));
    first
}

#[tokio::test]
async fn a_clients_own_second_factor_opens_the_door_once_a_code() {
    let house = House::start().await;
    let step = SecondFactorStep { age_max: None };
    let room = asking(vec![entry_step::Kind::SecondFactor(step)]);
    let revision = house.backend().make_room("vault", room).await;
    house.backend().applied(revision).await;
    let mut inside = Vec::new();
    for (form, user) in Form::ALL.into_iter().zip(["ada", "bob"]) {
        let (app, sessions) = enrolled(&house, user).await;
        let tokens = sessions.each_ref().map(|session| Some(&*session.token));
        inside.push(once(&house, form, "second_factor", tokens, &app).await);
        // Who has shown it lately is not asked.
        let (mut again, admitted) = Entry::knock(house.ws(), form, "vault", tokens[0]).await;
        assert_eq!(admitted["op"], "admitted", "{admitted}");
        again.start().await;

        // Who has none is told to enrol, and who is nobody to sign in.
        let none = house.backend().signed_in_user(&format!("not-{user}")).await;
        let (mut none, asked) = Entry::knock(house.ws(), form, "vault", Some(&none.token)).await;
        assert_asked(&asked, "second_factor", 3);
        let refused = none.answer("code", "123456").await;
        assert_refused(&refused, 4109, "entry.second_factor");
        let (_nobody, refused) = Entry::knock(house.ws(), form, "vault", None).await;
        assert_refused(&refused, 4103, "connection.user_required");
    }
    talk(&mut inside).await;
    drop(inside);
    house.close().await;
}

#[tokio::test]
async fn a_rooms_code_opens_once_a_user_and_the_last_wrong_one_is_refused() {
    let house = House::start().await;
    house.backend().make_room("vault", Room::default()).await;
    let app = room_code(&house).await;
    let mut inside = Vec::new();
    for (form, user) in Form::ALL.into_iter().zip(["ada", "bob"]) {
        let user = house.backend().signed_in_user(user).await;
        let tokens = [Some(&*user.token); 2];
        inside.push(once(&house, form, "room_code", tokens, &app).await);
    }
    talk(&mut inside).await;
    drop(inside);
    house.close().await;
}

/// Whoever was let in hears the others.
async fn talk(inside: &mut [Entry]) {
    let [one, other] = inside else {
        panic!("one over each wire form");
    };
    one.say("we are in").await;
    assert_eq!(other.message().await.to_string(), "we are in");
}

#[tokio::test]
async fn a_templates_code_opens_each_of_its_rooms_once_a_user() {
    let house = House::start().await;
    let template = CreateRoomTemplateRequest {
        room_template_id: "vault:*".into(),
        ..Default::default()
    };
    let mut templates = house.backend().room_templates();
    let made = templates.create_room_template(template).await;
    made.expect("a template");
    let app = code_of(&house, "roomTemplates/vault:*").await;
    let ada = house.backend().signed_in_user("ada").await;
    let mut client = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    client.event("authenticated").await;
    let code = app.shows(0);
    for room in ["vault:a", "vault:b"] {
        let challenge = client.ask("join", json!({"room": room})).await;
        assert_asked(&challenge, "room_code", 3);
        let shown = json!({"room": room, "code": code});
        let admitted = client.ask("answer", shown).await;
        assert_eq!(admitted["op"], "admitted", "{admitted}");
    }
    let mut again = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    again.event("authenticated").await;
    again.ask("join", json!({"room": "vault:a"})).await;
    let shown = json!({"room": "vault:a", "code": code});
    let replayed = again.ask("answer", shown).await;
    assert_asked(&replayed, "room_code", 2);
    drop((client, again));
    house.close().await;
}
