-- API keys that are a client certificate: of one, `secret_sha256` is the SHA-256 of the
-- certificate. What TLS has verified stands for the secret then.

ALTER TABLE api_keys ADD COLUMN by_certificate boolean NOT NULL DEFAULT false;
