-- What is left of a file that is taken out of a store. See SQLite's migration.
CREATE FUNCTION vector_store_files_gone() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    number bigint;
BEGIN
    SELECT seq INTO number FROM vector_stores WHERE id = old.owner;
    IF FOUND THEN
        DELETE FROM indexed_files WHERE store = number AND file_id = old.id;
        INSERT INTO tombstones (kind, id, owner, seq)
        VALUES ('vector_store_file', old.owner || '/' || old.id, old.owner, old.seq)
        ON CONFLICT (kind, id) DO UPDATE SET owner = excluded.owner, seq = excluded.seq;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER vector_store_files_gone AFTER DELETE ON vector_store_files
FOR EACH ROW EXECUTE FUNCTION vector_store_files_gone();
