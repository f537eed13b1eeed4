-- Sessions that a backend opened for a user of its own, who has shown us nothing.

ALTER TABLE sessions ADD COLUMN by_backend boolean NOT NULL DEFAULT false;
