//! Names and credentials: what is taken is written as it was read, and nothing
//! dangerous is.
#![no_main]

use porthouse_model::{
    Address, AddressRange, Credential, CredentialKind, NamePrefix, NodeName, Role, RoomName,
    Username,
};

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
    if let Ok(address) = text.parse::<Address>() {
        let written = address.to_string();
        assert!(written.eq_ignore_ascii_case(text));
        // A host's name is longer than ours (RFC 1035, section 2.3.4).
        assert!(written.len() <= 253);
        safe(&written[..written.len().min(128)]);
    }
    if let Ok(prefix) = text.parse::<NamePrefix>() {
        let written = prefix.to_string();
        let same = written == text || text.starts_with('@') && written.eq_ignore_ascii_case(text);
        assert!(same, "a prefix is written as the names it covers");
    }
    if let Ok(range) = text.parse::<AddressRange>() {
        assert_eq!(range.to_string().parse(), Ok(range), "one way to write it");
    }
    for kind in [CredentialKind::Session, CredentialKind::ApiKey] {
        if let Ok(credential) = Credential::parse(kind, text) {
            assert_eq!(credential.reveal(), text);
        }
    }
});

/// In a path, a subject, a log line and a header.
fn safe(name: &str) {
    assert!(!name.is_empty() && name.len() <= 128);
    assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!name.contains(['/', '*', '>', '%', '"', '\\', ';', '\'']));
}
