DROP TRIGGER rooms_deleted ON rooms;
DROP FUNCTION note_deleted_room;
DROP TABLE deleted_rooms;
