-- What a node knows of rules, as it says when it opens its watch: rooms whose rules need
-- more are shut there.

ALTER TABLE nodes ADD COLUMN rules_known bigint NOT NULL DEFAULT 0
    CHECK (rules_known BETWEEN 0 AND 4294967295);
