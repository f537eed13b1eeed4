//! puddle.
