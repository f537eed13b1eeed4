//! Tokens to come back by: no text makes one panic, what was sealed opens as it
//! was, and nothing else opens, least of all a token with one bit changed.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use porthouse_model::{ClientId, PasswordVersion, RoomId, SessionId, UnixTime};
use porthouse_puddle::{Claims, Holder, PassedAt, RESUME_KEY_BYTES, ResumeKeys};

const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);
const AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A token was sealed under the first, and by nobody under the other.
static KEYS: LazyLock<[ResumeKeys; 2]> =
    LazyLock::new(|| [7, 8].map(|byte| ResumeKeys::new(&[[byte; RESUME_KEY_BYTES]])));
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let token = KEYS[0].seal(&claims(b"a token that was given"), 7);
    token.expect("there is a key")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    match which % 4 {
        0 => {
            let text = String::from_utf8_lossy(bytes);
            let opened = KEYS[0].open(&text, NOW, AGE_MAX);
            assert!(opened.is_err() || *text == **TOKEN, "nobody sealed it");
        }
        1 => {
            let mut token = TOKEN.clone().into_bytes();
            for change in bytes.chunks_exact(2) {
                let at = usize::from(change[0]) % token.len();
                token[at] ^= change[1] & 0x7f;
            }
            let changed = String::from_utf8(token).expect("ASCII stays so");
            let opened = KEYS[0].open(&changed, NOW, AGE_MAX);
            assert_eq!(opened.is_ok(), changed == **TOKEN, "one bit is enough");
        }
        2 => {
            let claims = claims(bytes);
            let draw = u64::from(*which);
            let token = KEYS[0].seal(&claims, draw).expect("there is a key");
            assert_eq!(KEYS[0].open(&token, NOW, AGE_MAX), Ok(claims));
            assert!(KEYS[1].open(&token, NOW, AGE_MAX).is_err());
        }
        _ => {
            let _ = ResumeKeys::parse(&String::from_utf8_lossy(bytes));
        }
    }
});

/// Claims of any kind: bytes that are not there are zeros.
fn claims(bytes: &[u8]) -> Claims {
    let mut taken = [0; 2 + 16 + 5 * 8];
    let length = bytes.len().min(taken.len());
    taken[..length].copy_from_slice(&bytes[..length]);
    let [bits, length, rest @ ..] = taken;
    let (id, numbers) = rest.split_first_chunk().expect("16 bytes");
    let mut numbers = numbers
        .chunks_exact(8)
        .map(|number| u64::from_be_bytes(number.try_into().expect("8 bytes")));
    let mut number = || numbers.next().expect("five of them");
    Claims {
        holder: if bits & 1 == 0 {
            Holder::Anonymous(ClientId::from_bytes(*id))
        } else {
            Holder::Session(SessionId::from_bytes(*id))
        },
        room: "r"
            .repeat(usize::from(length % 128) + 1)
            .parse()
            .expect("a name"),
        room_id: (bits & 2 != 0).then(|| RoomId::from_bytes(*id)),
        passed: PassedAt {
            password: (bits & 4 != 0).then_some(PasswordVersion(number())),
            second_factor: (bits & 8 != 0).then(|| UnixTime::from_millis(number())),
            approval: bits & 16 != 0,
            ..PassedAt::default()
        },
        issued: NOW,
        epoch: number(),
        offset: number(),
        strand: number(),
        number: u32::from(length),
    }
}
