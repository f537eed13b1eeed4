-- Identity providers whose tokens sign users in.

CREATE TABLE issuers (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 32),
    -- What tokens must have as `iss`.
    issuer text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(issuer) BETWEEN 1 AND 255),
    display_name text NOT NULL DEFAULT '' CHECK (octet_length(display_name) <= 1024),
    audiences text[] NOT NULL CHECK (cardinality(audiences) BETWEEN 1 AND 16),
    algorithms text[] NOT NULL CHECK (cardinality(algorithms) BETWEEN 1 AND 32),
    -- Where the keys are fetched from. Null: they were written.
    jwks_uri text CHECK (octet_length(jwks_uri) BETWEEN 1 AND 1024),
    -- The keys that are trusted, as they were written or last fetched; shared by
    -- replicas, so that what one of them learnt holds for all.
    jwks text NOT NULL CHECK (octet_length(jwks) BETWEEN 1 AND 65536),
    -- What users are made from, and what a token must claim.
    claims jsonb NOT NULL CHECK (pg_column_size(claims) <= 65536),
    leeway_ms bigint NOT NULL CHECK (leeway_ms >= 0),
    token_age_max_ms bigint CHECK (token_age_max_ms > 0),
    creates_users boolean NOT NULL,
    sessions_end_with_token boolean NOT NULL,
    disabled boolean NOT NULL,
    -- When a replica last began to look after the keys. Null: none has.
    fetch_begin_time timestamptz,
    -- When a replica last ended to; before it, one is looking after them.
    fetch_end_time timestamptz,
    -- When the keys were last fetched. Null: never.
    fetch_time timestamptz,
    -- Why they could not be, the last time.
    fetch_error text NOT NULL DEFAULT '' CHECK (octet_length(fetch_error) <= 1024),
    -- Grows with each write; the etag.
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);

-- Who somebody is to an issuer. The issuer's text and not its row: a user stays
-- who they are when the issuer is withdrawn, and trusted again.
ALTER TABLE users
    ADD COLUMN issuer text COLLATE "C" CHECK (octet_length(issuer) BETWEEN 1 AND 255),
    ADD COLUMN subject text COLLATE "C" CHECK (octet_length(subject) BETWEEN 1 AND 255),
    ADD CHECK ((issuer IS NULL) = (subject IS NULL));
CREATE UNIQUE INDEX users_identity ON users (issuer, subject) WHERE issuer IS NOT NULL;

-- By which issuer a session was opened, and by which of its keys: the SHA-256
-- thumbprint of RFC 7638. Null: not by one. An issuer goes after its sessions.
ALTER TABLE sessions
    ADD COLUMN issuer_id uuid REFERENCES issuers,
    ADD COLUMN issuer_key bytea CHECK (octet_length(issuer_key) = 32),
    ADD CHECK ((issuer_id IS NULL) = (issuer_key IS NULL));
CREATE INDEX sessions_issuer ON sessions (issuer_id, issuer_key) WHERE issuer_id IS NOT NULL;

-- The same of a sign-in that waits for a code, and until when its session may
-- last at most.
ALTER TABLE sign_in_challenges
    ADD COLUMN issuer_id uuid REFERENCES issuers ON DELETE CASCADE,
    ADD COLUMN issuer_key bytea CHECK (octet_length(issuer_key) = 32),
    ADD COLUMN session_until timestamptz,
    ADD CHECK ((issuer_id IS NULL) = (issuer_key IS NULL));
CREATE INDEX sign_in_challenges_issuer ON sign_in_challenges (issuer_id)
    WHERE issuer_id IS NOT NULL;
