//! The rules of the house that a program can check, each a function from text to complaints.
//! Nothing here changes a file, and no rule reads the disk: `tests/house.rs` gathers the project
//! and asks every rule about it, and beside each rule stand planted violations that it must catch.
//!
//! * [`tree`]: which files the project has
//! * [`code`]: a Rust file as tokens, without comments, strings and test code
//! * [`purity`]: what the pure crates never name, and never depend on
//! * [`direction`]: which crate may depend on which
//! * [`header`]: every file says first what it owns
//! * [`size`]: files and functions stay short, and exceptions only shrink
//! * [`habit`]: no `unwrap` in shipped code, no module named for its kind, no silent `allow`
//! * [`manifest`]: every crate takes the workspace's lints
//! * [`migration`]: every step of the schema can be taken back
//! * [`document`]: links lead somewhere, and nothing points outside the repository

pub mod tree;

pub mod code;

pub mod purity;

pub mod direction;

pub mod header;

pub mod size;

pub mod habit;

pub mod manifest;

pub mod migration;

pub mod document;

use std::fmt;

/// One place where the project breaks one rule, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// The file from the project's root, or the crate it is about.
    pub place: String,
    /// Line in that file, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Complaint {
    pub(crate) fn new(place: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            line,
            message,
        } = self;
        if *line == 0 {
            write!(f, "{place}: {message}")
        } else {
            write!(f, "{place}:{line}: {message}")
        }
    }
}
