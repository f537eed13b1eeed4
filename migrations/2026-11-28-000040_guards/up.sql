-- What must hold of all rooms whose names begin in some way, whoever writes them.

CREATE TABLE guards (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 64),
    -- How the rooms' names begin.
    prefix text COLLATE "C" NOT NULL
        CHECK (octet_length(prefix) BETWEEN 1 AND 128 AND prefix !~ '^@'),
    audience text NOT NULL
        CHECK (audience IN ('anonymous', 'user', 'member', 'owner', 'device')),
    -- Of members, those in this role; NULL: all.
    role text CHECK (role IS NULL OR (audience = 'member' AND octet_length(role) <= 16)),
    act text NOT NULL
        CHECK (act IN ('see', 'join', 'send', 'read_history', 'see_presence', 'invite', 'kick')),
    -- Grows with each change; the etag.
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);
