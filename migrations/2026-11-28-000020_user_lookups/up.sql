-- How users are looked for beside their name.

CREATE INDEX users_labels ON users USING gin (labels jsonb_path_ops);

-- What passwords were hashed at, which is asked at each start.
CREATE INDEX users_password_cost ON users ((split_part(password_phc, '$', 4)))
    WHERE password_phc IS NOT NULL;
