//! Rules that many of these tests ask for. Owns no expectation.

use porthouse_model::{
    Acts, Audience, Capabilities, ConnectionRules, Content, EntryRules, EntryStep, MessageRules,
    PasswordVersion, RoomRules,
};

pub(in crate::puddle::tests) fn password_rules(version: u64) -> RoomRules {
    RoomRules {
        entry: EntryRules::by_password(PasswordVersion(version)),
        ..RoomRules::default()
    }
}

/// Rules with these steps, under which whoever is signed in may let others in.
pub(in crate::puddle::tests) fn asking(steps: &[EntryStep]) -> RoomRules {
    RoomRules {
        entry: EntryRules {
            steps: steps.to_vec(),
        },
        capabilities: Capabilities {
            user: Acts::MODERATE,
            ..Capabilities::open()
        },
        ..RoomRules::default()
    }
}

pub(in crate::puddle::tests) fn members_only() -> RoomRules {
    RoomRules {
        connection: ConnectionRules {
            audience: Audience::Members,
            ..ConnectionRules::default()
        },
        ..RoomRules::default()
    }
}

pub(in crate::puddle::tests) fn taking(content: Content) -> RoomRules {
    RoomRules {
        messages: MessageRules {
            content,
            ..MessageRules::default()
        },
        ..RoomRules::default()
    }
}
