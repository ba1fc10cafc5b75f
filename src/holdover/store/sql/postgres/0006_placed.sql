-- How many of a file's chunks are in the index of vectors (see nearest.sql): null says that they cannot be. The column is
-- there without the extension, too, which may come later.
ALTER TABLE indexed_files ADD COLUMN placed integer DEFAULT 0;

CREATE INDEX indexed_files_to_place ON indexed_files (store, indexed) INCLUDE (chunks)
WHERE placed < chunks AND embedder <> '';
