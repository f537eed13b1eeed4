//! Tokens: what was sealed opens, and nothing else does.

use porthouse_model::{
    ClientId, CodeVersion, HookVersion, PasswordVersion, RoomId, RoomName, SessionId,
};
use proptest::option;
use proptest::prelude::*;

use super::*;

const AGE_MAX: Duration = Duration::from_hours(24);
const ISSUED: u64 = 1_700_000_000_000;

fn keys(of: u8) -> ResumeKeys {
    ResumeKeys::new(&[[of; RESUME_KEY_BYTES]])
}

fn claims() -> impl Strategy<Value = Claims> {
    let holder = (any::<bool>(), any::<[u8; 16]>()).prop_map(|(session, id)| {
        if session {
            Holder::Session(SessionId::from_bytes(id))
        } else {
            Holder::Anonymous(ClientId::from_bytes(id))
        }
    });
    let steps = (
        option::of(any::<u64>()),
        option::of(any::<u64>()),
        option::of(any::<u64>()),
        option::of(any::<u64>()),
        any::<bool>(),
    );
    let passed = steps.prop_map(
        |(password, second_factor, room_code, hook, approval)| PassedAt {
            password: password.map(PasswordVersion),
            second_factor: second_factor.map(UnixTime::from_millis),
            room_code: room_code.map(CodeVersion),
            hook: hook.map(HookVersion),
            approval,
        },
    );
    let room_id = option::of(any::<[u8; 16]>());
    let room = "[a-z][a-z0-9]{0,127}".prop_map(|name| name.parse::<RoomName>().expect("a name"));
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>());
    (holder, room, room_id, passed, numbers).prop_map(
        |(holder, room, room_id, passed, (epoch, offset, strand, number))| Claims {
            holder,
            room,
            room_id: room_id.map(RoomId::from_bytes),
            passed,
            issued: UnixTime::from_millis(ISSUED),
            epoch,
            offset,
            strand,
            number,
        },
    )
}

fn sealed(claims: &Claims) -> String {
    let token = keys(1).seal(claims, 7);
    token.expect("there is a key")
}

fn open(keys: &ResumeKeys, token: &str, after: Duration) -> Result<Claims, Unopened> {
    let now = ISSUED + u64::try_from(after.as_millis()).expect("short");
    keys.open(token, UnixTime::from_millis(now), AGE_MAX)
}

proptest! {
    #[test]
    fn what_was_sealed_opens(claims in claims()) {
        let token = sealed(&claims);
        prop_assert!(token.len() <= RESUME_TOKEN_BYTES_MAX);
        prop_assert_eq!(open(&keys(1), &token, Duration::ZERO), Ok(claims.clone()));
        let both = ResumeKeys::new(&[[2; RESUME_KEY_BYTES], [1; RESUME_KEY_BYTES]]);
        prop_assert_eq!(open(&both, &token, AGE_MAX), Ok(claims));
    }

    #[test]
    fn no_other_bytes_open(claims in claims(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let token = sealed(&claims);
        let mut bytes = BASE64URL_NOPAD.decode(token.as_bytes()).expect("base64url");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let changed = BASE64URL_NOPAD.encode(&bytes);
        prop_assert_eq!(open(&keys(1), &changed, Duration::ZERO), Err(Unopened::Damaged));
        let cut = BASE64URL_NOPAD.encode(&bytes[..at]);
        prop_assert_eq!(open(&keys(1), &cut, Duration::ZERO), Err(Unopened::Damaged));
    }

    #[test]
    fn whatever_is_shown_is_no_panic(text in ".{0,600}") {
        prop_assert!(open(&keys(1), &text, Duration::ZERO).is_err());
    }

    #[test]
    fn a_plain_text_is_read_whole_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Some(claims) = Claims::read(&bytes) {
            prop_assert_eq!(Claims::read(&claims.written()), Some(claims));
        }
    }
}

fn some() -> Claims {
    Claims {
        holder: Holder::Session(SessionId::from_bytes([1; 16])),
        room: "ledger".parse().expect("a name"),
        room_id: None,
        passed: PassedAt::default(),
        issued: UnixTime::from_millis(ISSUED),
        epoch: 1,
        offset: 2,
        strand: 3,
        number: 4,
    }
}

#[test]
fn another_key_opens_nothing_and_no_key_seals_nothing() {
    let token = sealed(&some());
    assert_eq!(
        open(&keys(2), &token, Duration::ZERO),
        Err(Unopened::Damaged)
    );
    let none = ResumeKeys::default();
    assert_eq!(open(&none, &token, Duration::ZERO), Err(Unopened::Damaged));
    assert_eq!(none.seal(&some(), 7), None);
}

#[test]
fn a_token_ends_with_its_time_and_does_not_begin_before_it() {
    let token = sealed(&some());
    let late = AGE_MAX + Duration::from_millis(1);
    assert_eq!(open(&keys(1), &token, late), Err(Unopened::Expired));
    let early = keys(1).open(&token, UnixTime::from_millis(ISSUED - 1), AGE_MAX);
    assert_eq!(early, Err(Unopened::Expired));
}

#[test]
fn a_draw_that_comes_twice_repeats_no_nonce() {
    let (one, other) = (
        sealed(&some()),
        sealed(&Claims {
            offset: 3,
            ..some()
        }),
    );
    let nonce =
        |token: &str| BASE64URL_NOPAD.decode(token.as_bytes()).expect("text")[5..29].to_vec();
    assert_ne!(nonce(&one), nonce(&other));
}

#[test]
fn a_bad_line_of_keys_is_named_and_no_key_is_shown() {
    let good = format!("a {}", BASE64.encode(&[7; RESUME_KEY_BYTES]));
    let cases = [
        ("", BadResumeKeys::None),
        ("# none", BadResumeKeys::None),
        (
            &format!("{good}\nb c2hvcnQ=") as &str,
            BadResumeKeys::Line(2),
        ),
        (
            &[&*good; RESUME_KEYS_MAX + 1].join("\n"),
            BadResumeKeys::TooMany,
        ),
    ];
    for (text, bad) in cases {
        assert_eq!(ResumeKeys::parse(text).map(|_| ()), Err(bad));
    }
    let keys = ResumeKeys::parse(&format!("# ours\n{good} # old\n")).expect("a key");
    let token = keys.seal(&some(), 7).expect("sealed");
    assert_eq!(
        open(&ResumeKeys::new(&[[7; 32]]), &token, Duration::ZERO),
        Ok(some())
    );
    assert_eq!(format!("{keys:?}"), "ResumeKeys(1 of them)");
}
