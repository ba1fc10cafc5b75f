-- Statements on chunks, by name.

-- name: store
SELECT seq FROM vector_stores WHERE id = ?

-- name: insert_file
INSERT INTO indexed_files (store, file_id, file_name, attributes, embedder, chunks, text)
VALUES (:store, :file_id, :file_name, :attributes, :embedder, :chunks, :text)

-- name: delete_file
DELETE FROM indexed_files WHERE store = ? AND file_id = ?

-- name: delete_files
DELETE FROM indexed_files WHERE store = ?

-- name: relabel
UPDATE indexed_files SET attributes = ? WHERE store = ? AND file_id = ?

-- name: insert_chunk
INSERT INTO chunks (id, start_at, end_at, tokens, text) VALUES (?, ?, ?, ?, ?)

-- name: insert_words
INSERT INTO chunk_words (rowid, words) VALUES (?, ?)

-- name: delete_words
INSERT INTO chunk_words (chunk_words, rowid, words) VALUES ('delete', ?, ?)

-- name: insert_vectors
INSERT INTO chunk_vectors (indexed, vectors) VALUES (?, ?)

-- name: unindexed
SELECT indexed, store FROM unindexed ORDER BY indexed LIMIT 1

-- name: unindexed_chunks
SELECT id, text FROM chunks WHERE id >= ? AND id < ? LIMIT ?

-- name: delete_chunk
DELETE FROM chunks WHERE id = ?

-- name: delete_vectors
DELETE FROM chunk_vectors WHERE indexed = ?

-- name: swept
DELETE FROM unindexed WHERE indexed = ?

-- name: files
SELECT indexed, file_id, file_name, attributes, embedder FROM indexed_files
WHERE store = (SELECT seq FROM vector_stores WHERE id = ?)
ORDER BY indexed

-- name: vectors
SELECT indexed, vectors FROM chunk_vectors
WHERE indexed IN (SELECT value FROM json_each(?))
ORDER BY indexed

-- name: count_word
SELECT count(*) FROM (SELECT 1 FROM chunk_words WHERE chunk_words MATCH :word LIMIT :limit)

-- name: count_chunks
-- Of all vector stores: so FTS5 counts, too.
SELECT coalesce(sum(chunks), 0) FROM indexed_files

-- name: match
-- Those of indexings that are gone and not yet swept are passed over here: they are not to take the place of others.
SELECT rowid, -bm25(chunk_words) FROM chunk_words
WHERE chunk_words MATCH :words AND rowid >> 20 NOT IN (SELECT indexed FROM unindexed)
[chosen] AND rowid >> 20 IN (SELECT value FROM json_each(:indexed))
ORDER BY bm25(chunk_words) LIMIT :limit

-- name: passages
SELECT id, id >> 20, text, start_at, end_at FROM chunks WHERE id IN (SELECT value FROM json_each(?))

-- name: text
SELECT text FROM indexed_files WHERE store = (SELECT seq FROM vector_stores WHERE id = ?) AND file_id = ?
