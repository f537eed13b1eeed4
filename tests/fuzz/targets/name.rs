//! Names and credentials: what is taken is written as it was read, and nothing
//! dangerous is.
#![no_main]

use porthouse_model::{NodeName, Role, RoomName, Username};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<RoomName>() {
        // A freeport is a user's, whose name is kept in lower case.
        let same = name.as_str() == text
            || text.starts_with('@') && name.as_str().eq_ignore_ascii_case(text);
        assert!(same && (text.starts_with('@') || !text.contains("..")));
        safe(name.as_str());
    }
    if let Ok(name) = text.parse::<Username>() {
        assert!(name.as_str().eq_ignore_ascii_case(text));
        safe(name.as_str());
    }
    if let Ok(name) = text.parse::<NodeName>() {
        safe(name.as_str());
    }
    if let Ok(role) = text.parse::<Role>() {
        assert_eq!(role.as_str(), text);
        safe(role.as_str());
    }
});

/// In a path, a subject, a log line and a header.
fn safe(name: &str) {
    assert!(!name.is_empty() && name.len() <= 128);
    assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!name.contains(['/', '*', '>', '%', '"', '\\', ';', '\'']));
}
