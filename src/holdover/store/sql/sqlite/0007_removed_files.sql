-- Whatever takes a file out of a store (it was removed, or the file itself was deleted) takes its chunks out of what is
-- searched in the same transaction, and leaves a mark of its place in the list. Where the store itself goes, its indexings
-- go with it (0006_chunks.sql), and nobody asks for places any more.
CREATE TRIGGER vector_store_files_gone AFTER DELETE ON vector_store_files
WHEN EXISTS (SELECT 1 FROM vector_stores WHERE id = old.owner) BEGIN
    DELETE FROM indexed_files
    WHERE store = (SELECT seq FROM vector_stores WHERE id = old.owner) AND file_id = old.id;
    INSERT OR REPLACE INTO tombstones (kind, id, seq, owner)
    VALUES ('vector_store_file', old.owner || '/' || old.id, old.seq, old.owner);
END;
