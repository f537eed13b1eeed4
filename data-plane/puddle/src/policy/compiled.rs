//! Rooms and templates with their rules compiled: once a revision, shared by
//! all puddles. Never judges by them.

use porthouse_model::{Room, RoomRules, Template};
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
        let rules = compile(&room.rules);
        Self { room, rules }
    }
}

/// A template with its rules compiled.
#[derive(Debug)]
pub struct TemplatePolicy {
    /// As the control plane has it.
    pub template: Template,
    /// Its rules, compiled.
    pub rules: Rules,
}

impl TemplatePolicy {
    /// Compiles a template's rules, as [`RoomPolicy::compile`] does a room's.
    #[must_use]
    pub fn compile(template: Template) -> Self {
        let rules = compile(&template.rules);
        Self { template, rules }
    }
}

fn compile(rules: &RoomRules) -> Rules {
    Rules::compile(rules.clone()).unwrap_or_else(|_| Rules::shut())
}
