DROP TRIGGER members_labels_update ON users;
DROP TRIGGER members_labels_insert ON users;
DROP FUNCTION members_follow_labels();
DROP FUNCTION members_derive(uuid, uuid);
DELETE FROM members WHERE group_name IS NOT NULL;
ALTER TABLE members DROP COLUMN group_name;
DROP TABLE member_groups;
