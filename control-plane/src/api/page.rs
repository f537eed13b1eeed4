//! Page sizes and page tokens. A token is opaque, and holds for one listing: the
//! same call with the same other fields. It gives nothing that the listing itself
//! does not, so it is sealed by a checksum and not by a key.

use data_encoding::BASE64URL_NOPAD;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::store::page::Page;

use super::error::ApiError;

/// Resources on a page when nothing else is asked.
const PAGE_SIZE_DEFAULT: usize = 100;
/// The most resources on a page.
const PAGE_SIZE_MAX: usize = 1000;
/// The most bytes of resources on a page, but for one alone: an answer above 4 MiB
/// is refused by most clients.
const PAGE_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Bytes of a token's checksum.
const CHECKSUM_BYTES: usize = 8;

/// Something a page can go on after.
pub(crate) trait PageKey: Sized {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl PageKey for String {
    fn write(&self) -> String {
        self.clone()
    }

    /// Names are ASCII; nothing else reaches the database.
    fn read(text: &str) -> Option<Self> {
        text.bytes()
            .all(|byte| byte.is_ascii_graphic())
            .then(|| text.to_owned())
    }
}

impl PageKey for i64 {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl PageKey for uuid::Uuid {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Reads `page_size` and `page_token` of a request for `listing`.
pub(crate) fn read<K: PageKey>(size: i32, token: &str, listing: &str) -> Result<Page<K>, ApiError> {
    let size = usize::try_from(size)
        .map_err(|_| ApiError::field("page_size", "0 or more; more than 1000 is taken as 1000"))?;
    Ok(Page {
        after: if token.is_empty() {
            None
        } else {
            Some(open(token, listing)?)
        },
        size: if size == 0 {
            PAGE_SIZE_DEFAULT
        } else {
            size.min(PAGE_SIZE_MAX)
        },
    })
}

/// Cuts what was read to the page, and makes the token of the next one if there
/// is more.
pub(crate) fn cut<T, K: PageKey>(
    mut rows: Vec<T>,
    page: &Page<K>,
    listing: &str,
    key: impl FnOnce(&T) -> K,
) -> (Vec<T>, String) {
    if rows.len() <= page.size {
        return (rows, String::new());
    }
    rows.truncate(page.size);
    let token = rows
        .last()
        .map_or_else(String::new, |last| seal(&key(last).write(), listing));
    (rows, token)
}

/// The same for resources that may be long: the page ends where it is as long as
/// a page may be, though fewer were asked for by far.
pub(crate) fn cut_by_bytes<T: Message, K: PageKey>(
    mut resources: Vec<T>,
    page: &Page<K>,
    listing: &str,
    key: impl FnOnce(&T) -> K,
) -> (Vec<T>, String) {
    let mut bytes = 0;
    let fits = |resource: &&T| {
        let is_first = bytes == 0;
        bytes += resource.encoded_len();
        is_first || bytes <= PAGE_BYTES_MAX
    };
    let count = resources.iter().take(page.size).take_while(fits).count();
    if count == resources.len() {
        return (resources, String::new());
    }
    resources.truncate(count);
    let token = resources
        .last()
        .map_or_else(String::new, |last| seal(&key(last).write(), listing));
    (resources, token)
}

fn seal(key: &str, listing: &str) -> String {
    let mut bytes = checksum(key, listing).to_vec();
    bytes.extend_from_slice(key.as_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

fn open<K: PageKey>(token: &str, listing: &str) -> Result<K, ApiError> {
    let opened = || {
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        let (sum, key) = bytes.split_at_checked(CHECKSUM_BYTES)?;
        let key = std::str::from_utf8(key).ok()?;
        if sum == checksum(key, listing) {
            K::read(key)
        } else {
            None
        }
    };
    opened().ok_or_else(|| {
        ApiError::field(
            "page_token",
            "the next_page_token of the same call with the same other fields",
        )
    })
}

fn checksum(key: &str, listing: &str) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = Sha256::new();
    for part in ["porthouse page", listing, key] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let hash = hasher.finalize();
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(page: &Page<String>, rows: &[&str]) -> (Vec<String>, String) {
        let rows = rows.iter().map(|&row| row.to_owned()).collect();
        cut(rows, page, "rooms", String::clone)
    }

    #[test]
    fn a_page_goes_on_where_the_one_before_ended() {
        let first = read::<String>(2, "", "rooms").expect("a page");
        let (rows, token) = names(&first, &["a", "b", "c"]);
        assert_eq!(rows, ["a", "b"]);
        let second = read::<String>(2, &token, "rooms").expect("a page");
        assert_eq!(second.after.as_deref(), Some("b"));
        assert_eq!(names(&second, &["c"]).1, "");
    }

    #[test]
    fn a_token_of_another_listing_or_a_forged_one_is_refused() {
        let page = read::<String>(1, "", "rooms").expect("a page");
        let (_, token) = names(&page, &["a", "b"]);
        assert!(read::<String>(1, &token, "rooms of prefix x").is_err());
        for forged in ["a", "YQ", "!", &token[1..], &format!("{token}AA")] {
            assert!(read::<String>(1, forged, "rooms").is_err(), "{forged}");
        }
    }

    #[test]
    fn a_page_ends_before_it_is_longer_than_a_page_may_be() {
        let name = |length: usize| "x".repeat(length);
        let cut = |lengths: &[usize]| {
            let page = read::<String>(3, "", "rooms").expect("a page");
            let resources = lengths.iter().map(|&length| name(length)).collect();
            let (resources, token) = cut_by_bytes(resources, &page, "rooms", String::clone);
            (resources.len(), token.is_empty())
        };
        assert_eq!(cut(&[]), (0, true));
        assert_eq!(cut(&[1, 1, 1]), (3, true));
        assert_eq!(cut(&[1, 1, 1, 1]), (3, false));
        assert_eq!(
            cut(&[PAGE_BYTES_MAX / 2, PAGE_BYTES_MAX / 2, 1]),
            (1, false)
        );
        assert_eq!(cut(&[PAGE_BYTES_MAX + 1, 1]), (1, false), "one at least");
        assert_eq!(cut(&[PAGE_BYTES_MAX + 1]), (1, true));
    }

    #[test]
    fn sizes_are_bounded() {
        let size = |asked| read::<String>(asked, "", "rooms").map(|page| page.size);
        assert_eq!(size(0), Ok(PAGE_SIZE_DEFAULT));
        assert_eq!(size(i32::MAX), Ok(PAGE_SIZE_MAX));
        assert!(size(-1).is_err());
    }
}
