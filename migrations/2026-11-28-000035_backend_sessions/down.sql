ALTER TABLE sessions DROP COLUMN by_backend;
