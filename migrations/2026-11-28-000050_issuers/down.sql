ALTER TABLE sign_in_challenges
    DROP COLUMN session_until, DROP COLUMN issuer_key, DROP COLUMN issuer_id;
ALTER TABLE sessions DROP COLUMN issuer_key, DROP COLUMN issuer_id;
DROP INDEX users_identity;
ALTER TABLE users DROP COLUMN subject, DROP COLUMN issuer;
DROP TABLE issuers;
