//! Formats of messages, as the targets ask them: rules made of each, and what is
//! true of every one. Never decides which bytes are right.

use porthouse_model::{Format, MessageRules, RoomRules};
use porthouse_rules::Rules;

/// A room's rules that take messages of this format; `None`: it cannot be kept.
#[must_use]
pub fn compile(format: Format) -> Option<Rules> {
    let rules = RoomRules {
        messages: MessageRules {
            format,
            ..MessageRules::default()
        },
        ..RoomRules::default()
    };
    Rules::compile(rules).ok()
}

/// A message that is one value is none with another byte behind it.
pub fn one_value(rules: &Rules, message: &[u8]) {
    if rules.format(message).is_ok() {
        let more = [message, b"\0"].concat();
        assert!(rules.format(&more).is_err(), "one value and no more");
    }
}

/// A rule that can be kept can be asked.
pub fn asked(format: Format, message: &[u8]) {
    if let Some(rules) = compile(format) {
        let _ = rules.format(message);
    }
}

/// `package p; message M { string s = 1; repeated M m = 2; sint32 n = 3; }`
pub const DESCRIPTORS: &[u8] = b"\
    \x0a2\x0a\x01a\x12\x01p\x22\x2a\x0a\x01M\x12\x09\x0a\x01s\x18\x01\x20\
    \x01\x28\x09\x12\x0f\x0a\x01m\x18\x02\x20\x03\x28\x0b2\x04.p.M\x12\x09\
    \x0a\x01n\x18\x03\x20\x01\x28\x11";

/// Its messages, by these descriptors.
#[must_use]
pub fn protobuf(descriptors: &[u8]) -> Format {
    Format::Protobuf {
        descriptors: descriptors.into(),
        message: "p.M".into(),
    }
}
