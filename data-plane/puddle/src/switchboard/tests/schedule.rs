//! Random schedules of a whole node.
