ALTER TABLE nodes DROP COLUMN rules_known;
