//! The `porthouse` command.

fn main() {}
