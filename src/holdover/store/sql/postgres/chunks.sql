-- Statements on chunks, by name.

-- name: store
SELECT seq FROM vector_stores WHERE id = :id

-- name: lock_store
-- So that it is there until this is committed.
SELECT seq FROM vector_stores WHERE id = :id FOR KEY SHARE

-- name: insert_file
INSERT INTO indexed_files (store, file_id, file_name, attributes, embedder, chunks, text)
VALUES (:store, :file_id, :file_name, :attributes, :embedder, :chunks, :text)
RETURNING indexed

-- name: delete_file
DELETE FROM indexed_files WHERE store = :store AND file_id = :file_id

-- name: delete_files
DELETE FROM indexed_files WHERE store = :store

-- name: relabel
UPDATE indexed_files SET attributes = :attributes WHERE store = :store AND file_id = :file_id

-- name: insert_chunks
INSERT INTO chunks (id, start_at, end_at, tokens, text, words)
SELECT id, start_at, end_at, tokens, text, to_tsvector('english', words)
FROM unnest(:ids::bigint[], :starts::integer[], :ends::integer[], :tokens::integer[], :texts::text[], :words::text[])
AS new (id, start_at, end_at, tokens, text, words)

-- name: insert_vectors
INSERT INTO chunk_vectors (indexed, vectors) VALUES (:indexed, :vectors)

-- name: unindexed
-- Of processes that sweep at the same time, each takes another.
SELECT indexed FROM unindexed ORDER BY indexed LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: delete_chunks
WITH gone AS (
    DELETE FROM chunks WHERE id IN (SELECT id FROM chunks WHERE id >= :first AND id < :beyond LIMIT :limit)
    RETURNING 1
)
SELECT count(*) FROM gone

-- name: delete_vectors
DELETE FROM chunk_vectors WHERE indexed = :indexed

-- name: swept
DELETE FROM unindexed WHERE indexed = :indexed

-- name: files
SELECT indexed, file_id, file_name, attributes, embedder, placed > 0 AND placed = chunks FROM indexed_files
WHERE store = (SELECT seq FROM vector_stores WHERE id = :id)
ORDER BY indexed

-- name: vectors
SELECT indexed, vectors FROM chunk_vectors WHERE indexed = ANY (:indexed::bigint[]) ORDER BY indexed

-- name: count_words
-- Stems, each with the number of chunks that have it, as far as that is of interest.
SELECT stem, (
    SELECT count(*) FROM (
        SELECT 1 FROM chunks WHERE chunks.words @@ quote_literal(stem)::tsquery LIMIT :limit
    ) AS few
) AS found
FROM unnest(tsvector_to_array(to_tsvector('english', :words))) AS stem

-- name: count_chunks
SELECT coalesce(sum(chunks), 0) FROM indexed_files WHERE store = :store

-- name: match
-- ts_rank of one word grows with how often it occurs, ever more slowly, up to 1; how rare the word is, which it does not
-- know, is given as its weight.
SELECT id, rank FROM (
    SELECT chunks.id, (
        SELECT sum(weight * ts_rank('{1, 1, 1, 1}', chunks.words, word::tsquery))
        FROM unnest(:each::text[], :weights::float8[]) AS asked (word, weight)
    ) AS rank
    FROM chunks
    WHERE chunks.words @@ (:any::text)::tsquery
    AND NOT EXISTS (SELECT FROM unindexed WHERE unindexed.indexed = chunks.id >> 20)
[chosen] AND chunks.id >> 20 = ANY (:indexed::bigint[])
) AS ranked
ORDER BY rank DESC, id LIMIT :limit

-- name: passages
SELECT id, id >> 20 AS indexed, text, start_at, end_at FROM chunks WHERE id = ANY (:ids::bigint[])

-- name: text
SELECT text FROM indexed_files
WHERE store = (SELECT seq FROM vector_stores WHERE id = :id) AND file_id = :file_id
