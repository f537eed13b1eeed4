ALTER TABLE api_keys
    DROP COLUMN previous_sha256,
    DROP COLUMN previous_until,
    DROP COLUMN rotate_time;
