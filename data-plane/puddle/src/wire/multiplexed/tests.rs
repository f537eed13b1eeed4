//! Promises of the header line: what is read from it, and the words for what is
//! wrong with it.

use super::*;
use porthouse_model::{Credential, CredentialKind};
use proptest::prelude::*;

use crate::input::PuddleId;

fn settings() -> Settings {
    Settings::new(PuddleId(0), 1)
}

fn read(frame: &[u8]) -> Line<'_> {
    parse(frame, &settings()).unwrap_or_else(|fault| panic!("{fault:?}"))
}

fn op(line: &str) -> Op<'_> {
    read(line.as_bytes()).op
}

/// What is wrong with a line, and the id that is told with it.
fn bad(line: &str) -> (Option<Id>, LineError) {
    match parse(line.as_bytes(), &settings()) {
        Err(LineFault::Bad { id, error }) => (id, error),
        other => panic!("not a bad line but {other:?}"),
    }
}

fn rule(line: &str) -> &'static str {
    bad(line).1.rule
}

fn client(number: u8) -> ClientId {
    ClientId::from_bytes([number; 16])
}

fn room(name: &str) -> RoomName {
    name.parse().expect("a room's name")
}

#[test]
fn a_send_is_its_line_then_its_payload_untouched() {
    let line = read(b"{\"op\":\"send\",\"room\":\"lobby\",\"id\":7}\nhello\n\xff");
    assert_eq!(line.id, Some(Id::Natural(7)));
    assert_eq!(line.payload, b"hello\n\xff");
    let Op::Send {
        room, to, except, ..
    } = line.op
    else {
        panic!("a send");
    };
    assert!(matches!(room, Cow::Borrowed("lobby")), "nothing is copied");
    assert!(to.is_empty() && except.is_empty());
}

#[test]
fn without_a_newline_all_is_line() {
    assert_eq!(read(br#"{"op":"ping"}"#).payload, b"");
    assert_eq!(read(b"{\"op\":\"ping\"}\r\n").payload, b"");
    let escaped = op(r#"{"o\u0070":"s\u0065nd","room":"lo\u0062by"}"#);
    assert!(matches!(escaped, Op::Send { room, .. } if room == "lobby"));
}

#[test]
fn receivers_are_sorted_and_named_once() {
    let (one, two) = (client(1), client(2));
    let line =
        format!(r#"{{"op":"send","room":"a","to":["{two}","{one}","{two}"],"except":["{two}"]}}"#);
    let Op::Send { to, except, .. } = op(&line) else {
        panic!("a send");
    };
    assert_eq!((to, except), (vec![one, two], vec![two]));
}

#[test]
fn coming_back_is_read() {
    assert_eq!(
        op(r#"{"op":"join","room":"a","resume":"AQ","offset":7}"#),
        Op::Join {
            room: room("a"),
            life: None,
            token: Some((Secret::new("AQ".into()), Some(7))),
        }
    );
    assert_eq!(
        op(r#"{"op":"resume","room":"a"}"#),
        Op::Resume { room: room("a") }
    );
}

#[test]
fn what_somebody_signs_in_by_is_read() {
    let session = Credential::new(CredentialKind::Session, [7; 32]);
    let token = format!(r#"{{"op":"auth","token":"{}"}}"#, session.reveal());
    assert_eq!(
        op(&token),
        Op::AuthSession {
            token: Ok(session.hash())
        }
    );
    let renew = format!(r#"{{"op":"renew","token":"{}"}}"#, session.reveal());
    assert_eq!(
        op(&renew),
        Op::Renew {
            token: Ok(session.hash())
        }
    );
    assert_eq!(
        op(r#"{"op":"auth","token":"phs_mistyped"}"#),
        Op::AuthSession {
            token: Err(BadCredential)
        }
    );
    assert_eq!(
        op(r#"{"op":"auth","username":"Ada","password":"correct horse"}"#),
        Op::AuthPassword {
            username: "ada".parse().expect("a name"),
            password: Secret::new("correct horse".into()),
            device: DeviceMark::Unkept,
        }
    );
    let mark = Credential::new(CredentialKind::Device, [9; 32]);
    for (given, device) in [
        (mark.reveal(), DeviceMark::Shown(mark.hash())),
        (String::new(), DeviceMark::Wanted),
        (session.reveal(), DeviceMark::Wanted),
    ] {
        let line =
            format!(r#"{{"op":"auth","username":"ada","password":"x","device_mark":"{given}"}}"#);
        let Op::AuthPassword { device: read, .. } = op(&line) else {
            panic!("{line}");
        };
        assert_eq!(read, device);
    }
    assert_eq!(
        op(r#"{"op":"auth","jwt":"a.b.c"}"#),
        Op::AuthJwt {
            jwt: Secret::new("a.b.c".into()),
        }
    );
    assert_eq!(
        op(r#"{"op":"auth","code":"123456"}"#),
        Op::AuthCode {
            code: Secret::new("123456".into()),
            device: DeviceMark::Unkept,
        }
    );
}

#[test]
fn every_request_is_read() {
    assert_eq!(
        op(r#"{"op":"join","room":"a"}"#),
        Op::Join {
            room: room("a"),
            life: None,
            token: None,
        }
    );
    assert_eq!(
        op(r#"{"op":"leave","room":"a"}"#),
        Op::Leave { room: room("a") }
    );
    assert_eq!(
        op(r#"{"op":"answer","room":"a","password":"pass\"word"}"#),
        Op::Answer {
            room: room("a"),
            answer: Answer::Password(Secret::new("pass\"word".into())),
        }
    );
    assert_eq!(
        op(r#"{"op":"answer","room":"a","code":"123456"}"#),
        Op::Answer {
            room: room("a"),
            answer: Answer::Code(Secret::new("123456".into())),
        }
    );
    let line = format!(r#"{{"op":"admit","room":"a","client":"{}"}}"#, client(1));
    assert_eq!(
        op(&line),
        Op::Decide {
            room: room("a"),
            client: client(1),
            decision: Decision::Admit,
        }
    );
    assert_eq!(op(r#"{"op":"ping"}"#), Op::Ping);
}

#[test]
fn a_send_says_which_receipt_it_wants_and_how_it_is_called() {
    let asked = op(r#"{"op":"send","room":"a","receipt":"relayed","key":"k"}"#);
    let Op::Send { receipt, key, .. } = asked else {
        panic!("a send");
    };
    assert_eq!((receipt, key.as_deref()), (Level::Relayed, Some("k")));
    let bare = op(r#"{"op":"send","room":"a"}"#);
    assert!(matches!(
        bare,
        Op::Send {
            receipt: Level::Accepted,
            key: None,
            ..
        }
    ));
    for (line, field) in [
        (r#"{"op":"send","room":"a","receipt":"soon"}"#, "receipt"),
        (r#"{"op":"send","room":"a","key":""}"#, "key"),
        (r#"{"op":"send","room":"a","key":7}"#, "key"),
        (r#"{"op":"send","room":"a","key":"k","key":"l"}"#, "key"),
    ] {
        assert_eq!(rule(line), field, "{line}");
    }
    let long = format!(r#"{{"op":"send","room":"a","key":"{}"}}"#, "k".repeat(65));
    assert_eq!(rule(&long), "key");
}

#[test]
fn history_is_asked_for_by_whole_numbers() {
    assert_eq!(
        op(r#"{"op":"history","room":"a","since":3,"before":9,"last":2}"#),
        Op::History {
            room: room("a"),
            range: Range {
                after: Some(3),
                before: Some(9),
                last: Some(2),
            },
        }
    );
    for (line, field) in [
        (r#"{"op":"history","room":"a","since":-1}"#, "since"),
        (r#"{"op":"history","room":"a","before":"9"}"#, "before"),
        (r#"{"op":"history","room":"a","last":1.5}"#, "last"),
        (r#"{"op":"history","room":"a","last":1,"last":1}"#, "last"),
        (r#"{"op":"history","last":1}"#, "room"),
    ] {
        assert_eq!(rule(line), field, "{line}");
    }
}

#[test]
fn an_id_is_echoed_as_it_was_given() {
    for id in [
        "0",
        "-5",
        "18446744073709551615",
        "-9223372036854775808",
        r#""a\"b""#,
        r#""""#,
    ] {
        let line = format!(r#"{{"op":"ping","id":{id}}}"#);
        let read = read(line.as_bytes()).id;
        let mut out = Vec::new();
        Event::Pong { id: read.as_ref() }.frame(&mut out);
        assert_eq!(
            out[2..],
            *format!(r#"{{"op":"pong","id":{id}}}"#).as_bytes()
        );
    }
    let longest = "i".repeat(64);
    assert_eq!(
        read(format!(r#"{{"op":"ping","id":"{longest}"}}"#).as_bytes()).id,
        Some(Id::Text(longest.into()))
    );
}

#[test]
fn an_id_that_cannot_be_echoed_is_refused() {
    for id in [
        "1.5",
        "1e3",
        "18446744073709551616",
        "null",
        "true",
        "[1]",
        "{}",
    ] {
        assert_eq!(rule(&format!(r#"{{"op":"ping","id":{id}}}"#)), "id", "{id}");
    }
    let long = "i".repeat(65);
    assert_eq!(rule(&format!(r#"{{"op":"ping","id":"{long}"}}"#)), "id");
}

#[test]
fn an_unknown_op_gets_an_error_with_its_id() {
    let (id, error) = bad(r#"{"op":"sned","room":"a","id":"x"}"#);
    assert_eq!(id, Some(Id::Text("x".into())));
    assert_eq!((error.rule, error.found.as_deref()), ("op", Some("sned")));
    assert_eq!(
        bad(r#"{"id":3}"#),
        (
            Some(Id::Natural(3)),
            LineError::new(
                "op",
                "one of auth, renew, join, answer, leave, send, history, resume, admit, refuse, kick, presence, pass, rules, ping",
            )
        )
    );
    let long = format!(r#"{{"op":"{}"}}"#, "é".repeat(1_000));
    assert_eq!(
        bad(&long).1.found,
        Some("é".repeat(16)),
        "only its beginning"
    );
}

#[test]
fn a_field_that_is_wrong_is_named_and_the_id_found_wherever_it_stands() {
    for (line, expected) in [
        (r#"{"op":"join","id":1}"#, "room"),
        (r#"{"op":"join","room":"a/b","id":1}"#, "room"),
        (r#"{"op":"join","room":5,"id":1}"#, "room"),
        (r#"{"op":5,"id":1}"#, "op"),
        (r#"{"op":"send","id":1}"#, "room"),
        (r#"{"op":"send","room":"a","to":"b","id":1}"#, "to"),
        (r#"{"op":"send","room":"a","to":[],"id":1}"#, "to"),
        (r#"{"op":"send","room":"a","to":["b"],"id":1}"#, "to"),
        (r#"{"op":"send","room":"a","except":[7],"id":1}"#, "except"),
        (r#"{"op":"answer","room":"a","id":1}"#, "answer"),
        (
            r#"{"op":"answer","room":"a","password":"b","code":"c","id":1}"#,
            "answer",
        ),
        (r#"{"op":"answer","room":"a","code":"","id":1}"#, "code"),
        (r#"{"op":"admit","room":"a","id":1}"#, "client"),
        (
            r#"{"op":"refuse","room":"a","client":"b","id":1}"#,
            "client",
        ),
        (
            r#"{"op":"answer","room":"a","password":"","id":1}"#,
            "password",
        ),
        (
            r#"{"op":"answer","room":"a","password":"a\u0000b","id":1}"#,
            "password",
        ),
        (r#"{"op":"auth","id":1}"#, "auth"),
        (r#"{"op":"auth","token":"a","username":"b","id":1}"#, "auth"),
        (r#"{"op":"auth","token":"a","password":"b","id":1}"#, "auth"),
        (r#"{"op":"auth","username":"b","id":1}"#, "password"),
        (
            r#"{"op":"auth","username":"b","password":"p","code":"1","id":1}"#,
            "auth",
        ),
        (r#"{"op":"auth","token":"a","code":"1","id":1}"#, "auth"),
        (r#"{"op":"auth","code":"","id":1}"#, "code"),
        (
            r#"{"op":"auth","username":"b c","password":"p","id":1}"#,
            "username",
        ),
    ] {
        let (id, error) = bad(line);
        assert_eq!(error.rule, expected, "{line}");
        assert_eq!(id, Some(Id::Natural(1)), "{line}");
        assert!(!error.needed.is_empty());
    }
}

#[test]
fn a_key_given_twice_is_refused_whatever_it_means() {
    assert_eq!(rule(r#"{"op":"join","room":"a","room":"b"}"#), "room");
    assert_eq!(
        rule(
            r#"{"op":"send","room":"a","to":["01010101-0101-0101-0101-010101010101"],"to":["01010101-0101-0101-0101-010101010101"]}"#
        ),
        "to"
    );
    assert_eq!(rule(r#"{"op":"ping","id":1,"id":1}"#), "id");
    assert_eq!(rule(r#"{"op":"ping","\u006fp":"ping"}"#), "op");
    assert_eq!(rule(r#"{"op":"ping","x":1,"x":2}"#), "header");
    assert_eq!(
        bad(r#"{"op":"ping","id":4,"x":1,"x":2}"#).0,
        Some(Id::Natural(4))
    );
}

#[test]
fn what_is_unknown_is_ignored_within_bounds() {
    let deep = format!(
        r#"{{"op":"ping","x":{}{},"y":1e999999,"z":{}}}"#,
        "[".repeat(1_000),
        "]".repeat(1_000),
        "9".repeat(500),
    );
    assert_eq!(op(&deep), Op::Ping);
    let fields = |count| {
        (0..count).fold(r#"{"op":"ping""#.to_owned(), |line, at| {
            line + &format!(",\"{at}\":0")
        }) + "}"
    };
    assert_eq!(op(&fields(32)), Op::Ping);
    assert_eq!(rule(&fields(33)), "header.fields_max");
}

#[test]
fn what_is_no_line_of_json_gets_an_error() {
    for line in [
        "",
        "hello",
        "{",
        "{\n\"op\": \"ping\"\n}",
        "[]",
        "7",
        "null",
        r#"{"op":"ping"} x"#,
        r#"{"op":"ping",}"#,
        r#"{"op":"answer","password":"\ud800"}"#,
        &"[".repeat(4_000),
    ] {
        assert_eq!(rule(line), "header", "{line}");
    }
    let binary = parse(b"{\"op\":\"ping\",\"x\":\"\xff\"}", &settings());
    assert!(matches!(binary, Err(LineFault::Bad { .. })));
}

#[test]
fn a_line_over_its_limit_is_told_apart() {
    let max = settings().header_line_bytes_max;
    let line = |bytes: usize| {
        let pad = bytes - r#"{"op":"ping","x":""}"#.len();
        format!(r#"{{"op":"ping","x":"{}"}}"#, "x".repeat(pad))
    };
    assert_eq!(op(&line(max)), Op::Ping);
    assert_eq!(
        parse(line(max + 1).as_bytes(), &settings()),
        Err(LineFault::TooLong)
    );
    let ended = line(max - 1) + "\n" + &"p".repeat(100_000);
    assert_eq!(read(ended.as_bytes()).payload.len(), 100_000);
    let late = line(max) + "\n";
    assert_eq!(parse(late.as_bytes(), &settings()), Err(LineFault::TooLong));
    assert!(LINE_TOO_LONG.len() <= crate::wire::frame::CLOSE_REASON_BYTES_MAX);
}

#[test]
fn receivers_past_their_limit_name_it() {
    let few = Settings {
        receivers_named_max: 2,
        ..settings()
    };
    let named = |count: u8| {
        let clients: Vec<_> = (0..count).map(|at| format!("\"{}\"", client(at))).collect();
        format!(
            r#"{{"op":"send","room":"a","id":9,"to":[{}]}}"#,
            clients.join(",")
        )
    };
    assert!(parse(named(2).as_bytes(), &few).is_ok());
    let Err(LineFault::Bad { id, error }) = parse(named(3).as_bytes(), &few) else {
        panic!("too many receivers");
    };
    assert_eq!(
        (id, error.rule),
        (Some(Id::Natural(9)), "receivers_named_max")
    );
    assert_eq!(error.needed, "at most 2 client ids");
}

#[test]
fn no_error_shows_a_secret() {
    for line in [
        r#"{"op":"auth","username":"b","password":["hunter2"]}"#,
        r#"{"op":"auth","token":{"phs":"hunter2"}}"#,
        r#"{"op":"answer","room":"a b","password":"hunter2"}"#,
        r#"{"op":"answer","room":"a","password":"hunter2"#,
    ] {
        let shown = format!("{:?}", parse(line.as_bytes(), &settings()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let kept = format!(
        "{:?}",
        parse(
            br#"{"op":"auth","username":"b","password":"hunter2"}"#,
            &settings()
        )
    );
    assert!(!kept.contains("hunter2"), "{kept}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(frame: Vec<u8>) {
        let _ = parse(&frame, &settings());
    }

    #[test]
    fn no_json_makes_it_panic_and_what_is_read_is_what_was_written(
        fields in proptest::collection::vec(
            (
                prop_oneof![Just("op"), Just("id"), Just("room"), Just("to"), Just("password"), Just("x")],
                prop_oneof![
                    Just("\"send\"".to_owned()),
                    Just("\"join\"".to_owned()),
                    Just("[\"\"]".to_owned()),
                    "\"[a-z]{0,5}\"",
                    any::<i64>().prop_map(|number| number.to_string()),
                    any::<f64>().prop_map(|number| number.to_string()),
                ],
            ),
            0..6,
        ),
        payload: Vec<u8>,
    ) {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let line = format!("{{{}}}", fields.join(","));
        let frame = [line.as_bytes(), b"\n", &payload].concat();
        if let Ok(read) = parse(&frame, &settings()) {
            prop_assert_eq!(read.payload, &payload[..]);
            let ids = fields.iter().filter(|field| field.starts_with("\"id\""));
            prop_assert_eq!(read.id.is_some(), ids.count() == 1);
        }
    }
}
