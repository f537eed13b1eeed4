//! The control plane: owns users, sessions, persistent rooms, members and API
//! keys, and the log of what nodes obey. Never sees a socket or a message.

mod store;
