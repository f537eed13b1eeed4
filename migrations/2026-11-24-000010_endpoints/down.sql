DROP TRIGGER policy_users_freeport ON users;
DROP FUNCTION policy_note_freeport();
DROP TABLE endpoints;
DROP FUNCTION policy_note_endpoint();
ALTER TABLE policy_pending
    DROP CONSTRAINT policy_pending_kind_check,
    ADD CONSTRAINT policy_pending_kind_check CHECK (kind IN (
        'room', 'room_gone', 'member', 'member_gone', 'session', 'session_gone', 'user_gone',
        'api_key_gone')),
    DROP CONSTRAINT policy_pending_check1,
    ADD CONSTRAINT policy_pending_check1 CHECK ((kind = 'room_gone') = (name IS NOT NULL));
ALTER TABLE rooms DROP CONSTRAINT rooms_no_freeport;
