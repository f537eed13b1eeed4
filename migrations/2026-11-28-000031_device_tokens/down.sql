DROP TRIGGER policy_users_enabled ON users;
DROP TRIGGER policy_pending_user_gone ON policy_pending;
DROP FUNCTION policy_note_user_enabled();
DROP FUNCTION policy_note_devices_that_stay();
DROP TABLE device_tokens;
DROP FUNCTION policy_note_device_token();
DROP FUNCTION policy_note_device_tokens_of(uuid);
