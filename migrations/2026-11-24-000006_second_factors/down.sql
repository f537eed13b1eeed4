DROP TRIGGER policy_sessions_update ON sessions;
DROP FUNCTION policy_note_session_change();
ALTER TABLE policy_pending
    DROP CONSTRAINT policy_pending_kind_check,
    ADD CONSTRAINT policy_pending_kind_check CHECK (kind IN (
        'room', 'room_gone', 'member', 'member_gone', 'session_gone', 'user_gone', 'api_key_gone'));
ALTER TABLE sessions DROP COLUMN second_factor_time;
DROP TABLE recovery_codes;
DROP TABLE second_factors;
