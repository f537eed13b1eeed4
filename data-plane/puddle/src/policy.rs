//! What the control plane said, by revision, and how fresh it is.

use porthouse_model::Room;
use porthouse_rules::Rules;

/// A persistent room with its rules compiled.
#[derive(Debug)]
pub struct RoomPolicy {
    /// As the control plane has it.
    pub room: Room,
    /// Its rules, compiled.
    pub rules: Rules,
}

impl RoomPolicy {
    /// Compiles a room's rules. Rules that this version cannot compile, which a
    /// newer control plane may send, are replaced by ones that admit nobody.
    #[must_use]
    pub fn compile(room: Room) -> Self {
        let rules = Rules::compile(room.rules.clone()).unwrap_or_else(|_| Rules::shut());
        Self { room, rules }
    }
}
