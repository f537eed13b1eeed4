DROP TABLE session_watch;
ALTER TABLE nodes DROP COLUMN seen_time;
