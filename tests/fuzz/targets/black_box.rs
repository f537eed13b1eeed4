//! Black boxes as files: whatever is in one, reading it ends, and says what is
//! wrong. Half of them are a real one of which a part was written over; the hash at
//! the end is always its own, or nothing behind it would be read.
#![no_main]

use std::sync::LazyLock;

use porthouse_model::Time;
use porthouse_puddle::{BlackBox, Dump, End, PuddleId, Seed, Seeds, Settings};

const HEAD: &[u8] = b"porthouse black box 1\n";
const HASH_BYTES: usize = 8;
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A real one, without its hash.
static REAL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut settings = Settings::new(PuddleId(1), 2);
    settings.hosts.trusted_proxies = vec!["127.0.0.1".parse().expect("a range")];
    let mut black_box = BlackBox::new(1 << 16);
    black_box.begin(&settings, &Seeds::repeatable(Seed(7)), Time::ZERO);
    let mut file = black_box.dump(&End::Asked).expect("it is on");
    file.truncate(file.len() - HASH_BYTES);
    file
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(([kind, at], rest)) = data.split_first_chunk() else {
        return;
    };
    let mut file = if kind.is_multiple_of(2) {
        let mut file = REAL.clone();
        let at =
            HEAD.len() + (usize::from(*at) + usize::from(*kind) * 128) % (REAL.len() - HEAD.len());
        let end = (at + rest.len()).min(file.len());
        file.splice(at..end, rest.iter().copied());
        file
    } else {
        [HEAD, rest].concat()
    };
    let hash = hash(&file).to_le_bytes();
    file.extend_from_slice(&hash);
    match Dump::read(&file) {
        Ok(dump) => assert!(dump.puddle().0 < dump.puddle().1),
        Err(wrong) => assert!(
            !wrong.to_string().contains("its hash is not its own"),
            "{wrong}"
        ),
    }
    if rest.is_empty() && kind.is_multiple_of(2) {
        assert!(Dump::read(&file).is_ok(), "nothing was changed");
    }
});

/// The hash at a file's end.
fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let ends = [u64::from_le_bytes(last), bytes.len() as u64];
    let numbers = words
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .chain(ends);
    numbers.fold(0, |hash, number| {
        let wide = u128::from(hash ^ number ^ ODD) * u128::from(ODD.rotate_left(23) | 1);
        let [low, high] = [wide, wide >> 64].map(|part| (part & u128::from(u64::MAX)) as u64);
        low ^ high.rotate_left(17)
    })
}
