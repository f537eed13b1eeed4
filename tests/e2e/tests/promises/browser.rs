//! What a page in a real browser can do and can know: talk raw and multiplexed
//! with no library, and read why it was refused, which a failed handshake would
//! not tell it. Never uses a client of ours.

use porthouse_api::control::v1::{ConnectionRules, Room, RoomRules, Visibility};
use porthouse_api::live::v1::{PublishRequest, publish_request};
use porthouse_e2e::browser::{Page, page_finds};
use porthouse_e2e::house::House;
use porthouse_e2e::link::Link;
use serde_json::json;

use crate::shapes::{keeping_last, with_rules};

/// Opens sockets and tells what came.
const HELPERS: &str = r"
    const opened = (url, protocols) => new Promise((done, failed) => {
        const socket = new WebSocket(url, protocols);
        socket.binaryType = 'arraybuffer';
        socket.queue = []; socket.waiters = [];
        const tell = (what) => {
            const waiter = socket.waiters.shift();
            if (waiter) waiter(what); else socket.queue.push(what);
        };
        socket.next = () => socket.queue.length
            ? Promise.resolve(socket.queue.shift())
            : new Promise((done) => socket.waiters.push(done));
        socket.onmessage = ({data}) =>
            tell(typeof data === 'string' ? data : [...new Uint8Array(data)]);
        socket.onclose = ({code, reason}) => tell({code, reason});
        socket.onopen = () => done(socket);
        socket.onerror = () => failed('the handshake failed');
    });
";

#[tokio::test]
async fn a_page_talks_raw_and_multiplexed_and_reads_why_it_is_refused() {
    let house = House::start().await;
    let backend = house.backend();
    let private = Room {
        visibility: Visibility::Private.into(),
        ..Default::default()
    };
    backend.make_room("hall", Room::default()).await;
    let revision = backend.make_room("den", private).await;
    backend.applied(revision).await;
    let ada = backend.signed_in_user("ada").await;
    let (ws, token) = (house.ws(), &ada.token);
    let found = page_finds(&format!(
        r"{HELPERS}
            const raw = await opened('ws://{ws}/hall', ['porthouse.plain']);
            const known = await opened('ws://{ws}/hall',
                ['porthouse.plain', 'porthouse.bearer.{token}']);
            raw.send('hello');
            const text = await known.next();
            known.send(new Uint8Array([0, 255, 16]));
            const binary = await raw.next();
            const lobby = await opened('ws://{ws}/', ['porthouse.v1']);
            lobby.send(JSON.stringify({{op: 'join', id: 1, room: 'hall'}}));
            const admitted = JSON.parse(await lobby.next()).op;
            raw.send('to all');
            const [line, payload] = (await lobby.next()).split('\n');
            const refused = await (await opened('ws://{ws}/den', ['porthouse.plain'])).next();
            await found({{text, binary, protocol: known.protocol, admitted,
                op: JSON.parse(line).op, payload, refused}});"
    ))
    .await;
    assert_eq!(found["text"], "hello", "{found}");
    assert_eq!(found["binary"], json!([0, 255, 16]));
    assert_eq!(found["protocol"], "porthouse.plain");
    assert_eq!(found["admitted"], "admitted");
    assert_eq!(
        (&found["op"], &found["payload"]),
        (&json!("message"), &json!("to all"))
    );
    assert_eq!(found["refused"]["code"], 4103);
    let reason = found["refused"]["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("connection.user_required; retry authenticate; "),
        "{reason}"
    );
    house.close().await;
}

#[tokio::test]
async fn a_page_whose_session_ends_reads_that_it_did() {
    let house = House::start().await;
    let backend = house.backend();
    backend
        .applied(backend.make_room("hall", Room::default()).await)
        .await;
    let ada = backend.signed_in_user("ada").await;
    let (ws, token) = (house.ws(), &ada.token);
    let script = format!(
        r"{HELPERS}
            const socket = await opened('ws://{ws}/hall',
                ['porthouse.plain', 'porthouse.bearer.{token}']);
            await found(await socket.next());"
    );
    let page = page_finds(&script);
    let revoked = async {
        let arrived = async {
            let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
            while backend.sockets_in("hall").await.is_empty() {
                look.tick().await;
            }
        };
        porthouse_e2e::wait::within("the page's socket", arrived).await;
        backend.revoke(&ada.session).await;
    };
    let (found, ()) = tokio::join!(page, revoked);
    assert_eq!(found["code"], 4101, "{found}");
    house.close().await;
}

#[tokio::test]
async fn an_event_source_comes_back_by_itself_and_misses_nothing() {
    let house = House::start().await;
    let backend = house.backend();
    let page = Page::new().await;
    let room = with_rules(RoomRules {
        connection: Some(ConnectionRules {
            origins: vec![page.origin()],
            ..Default::default()
        }),
        history: Some(keeping_last(10)),
        ..Default::default()
    });
    backend
        .applied(backend.make_room("ledger", room).await)
        .await;
    let link = Link::to(house.ws()).await;
    let script = format!(
        r"const source = new EventSource('http://{}/ledger');
            const heard = [];
            for (const name of ['message', 'recovered', 'closed'])
                source.addEventListener(name, ({{data, lastEventId}}) => {{
                    heard.push([name, data]);
                    if (data === 'last') found({{heard, id: lastEventId}});
                }});",
        link.address()
    );
    let finds = page.finds(&script);
    let publish = async |text: &str| {
        let request = PublishRequest {
            room: "rooms/ledger".to_owned(),
            message: Some(publish_request::Message::Text(text.to_owned())),
            ..Default::default()
        };
        let published = backend.live().publish(request).await;
        published.expect("a room to say it in");
    };
    let said = async {
        let arrived = async {
            let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
            while backend.sockets_in("ledger").await.is_empty() {
                look.tick().await;
            }
        };
        porthouse_e2e::wait::within("the page's stream", arrived).await;
        publish("first").await;
        link.close();
        publish("missed").await;
        publish("last").await;
    };
    let (found, ()) = tokio::join!(finds, said);
    let heard = found["heard"].as_array().expect("a list");
    let told: Vec<_> = heard
        .iter()
        .filter(|event| event[0] == "recovered")
        .collect();
    assert_eq!(
        told,
        [&json!(["recovered", r#"{"recovered":true}"#])],
        "{found}"
    );
    let messages: Vec<_> = heard.iter().filter(|event| event[0] == "message").collect();
    let texts: Vec<_> = messages.iter().map(|event| &event[1]).collect();
    assert_eq!(texts, ["first", "missed", "last"], "{found}");
    assert!(
        found["id"].as_str().is_some_and(|id| id.ends_with("-3")),
        "{found}"
    );
    drop(link);
    house.close().await;
}
