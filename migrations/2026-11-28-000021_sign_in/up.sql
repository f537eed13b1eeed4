-- Signing in: challenges that wait for a code, devices that are known, and wrong
-- answers. None of it concerns nodes, so none of it is in the log.

-- A password was right and a code is asked for. One that is used is deleted.
CREATE TABLE sign_in_challenges (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- Of the password that was right: with another it opens nothing.
    password_version bigint NOT NULL,
    -- How long the session is to last.
    lifetime_ms bigint NOT NULL CHECK (lifetime_ms > 0),
    client_address text NOT NULL CHECK (octet_length(client_address) <= 255),
    user_agent text NOT NULL CHECK (octet_length(user_agent) <= 1024),
    -- Whether the client showed a mark that is known.
    device_known boolean NOT NULL,
    expire_time timestamptz NOT NULL
);
CREATE INDEX sign_in_challenges_user ON sign_in_challenges (user_id, expire_time);

-- Devices on which a user has signed in: each holds a mark, of which the hash is here.
CREATE TABLE devices (
    mark_sha256 bytea PRIMARY KEY CHECK (octet_length(mark_sha256) = 32),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- Drawn with the mark; wrong answers from the device are counted by it.
    id uuid NOT NULL UNIQUE,
    -- Of the password it signed in by: with another it is not known.
    password_version bigint NOT NULL,
    seen_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX devices_user ON devices (user_id, seen_time);

-- Wrong passwords, by whose and where from: a network, a known device, or all
-- networks together. What is a day old is of no use.
CREATE TABLE sign_in_wrongs (
    target text COLLATE "C" NOT NULL CHECK (octet_length(target) BETWEEN 1 AND 128),
    source text COLLATE "C" NOT NULL CHECK (octet_length(source) BETWEEN 1 AND 300),
    wrong_count integer NOT NULL,
    wrong_time timestamptz NOT NULL,
    PRIMARY KEY (target, source)
);
CREATE INDEX sign_in_wrongs_time ON sign_in_wrongs (wrong_time);
