-- Statements on the index of vectors, by name. {dimensions} is a number: each has an index of its own.

-- name: extension
-- halfvec has been there since 0.7, iterative scans since 0.8.
SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE extname = 'vector' AND string_to_array(extversion, '.')::integer[] >= '{0,8}'

-- name: exists
-- In the schema of our tables only: that of the extension may be another Holdover's.
SELECT EXISTS (
    SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname = :name AND nspname = current_schema()
)

-- name: create_table
-- Made of chunk_vectors, which is the truth, and swept with it.
CREATE TABLE placed_chunks (
    indexed bigint  NOT NULL REFERENCES chunk_vectors ON DELETE CASCADE,
    chunk   bigint  NOT NULL,
    vector  halfvec NOT NULL,
    PRIMARY KEY (indexed, chunk)
);
-- Inline: what is compared all the time is not fetched from elsewhere where it fits, and vectors do not shrink.
ALTER TABLE placed_chunks ALTER COLUMN vector SET STORAGE MAIN;
UPDATE indexed_files SET placed = 0 WHERE placed > 0

-- name: create_index
-- Vectors have the length 1, so that the inner product is the cosine.
CREATE INDEX placed_chunks_{dimensions} ON placed_chunks
USING hnsw ((vector::halfvec({dimensions})) halfvec_ip_ops) WHERE vector_dims(vector) = {dimensions}

-- name: try_lock
SELECT pg_try_advisory_xact_lock(:program, 1)

-- name: to_place
-- The next chunks of the oldest file of a vector store that has more of them than are to be scanned.
SELECT indexed, chunks, placed, octet_length(vectors) AS bytes,
    substring(vectors FROM octet_length(vectors) / chunks * placed + 1 FOR octet_length(vectors) / chunks * :limit)
FROM indexed_files JOIN chunk_vectors USING (indexed)
WHERE placed < chunks AND embedder <> '' AND store = (
    SELECT store FROM indexed_files WHERE placed < chunks AND embedder <> ''
    GROUP BY store HAVING sum(chunks) > :scanned LIMIT 1
)
ORDER BY indexed LIMIT 1

-- name: set_placed
UPDATE indexed_files SET placed = :placed WHERE indexed = :indexed

-- name: count
SELECT coalesce(sum(chunks), 0) FROM indexed_files WHERE placed > 0 AND indexed = ANY (:indexed::bigint[])

-- name: nearest
-- In the exact case the sum keeps the planner from the index.
SELECT chunk, -(vector::halfvec({dimensions}) <#> :vector::text::halfvec({dimensions})) AS cosine FROM placed_chunks
WHERE vector_dims(vector) = {dimensions} AND indexed = ANY (:indexed::bigint[])
[exact] ORDER BY (vector::halfvec({dimensions}) <#> :vector::text::halfvec({dimensions})) + 0 LIMIT :limit
[indexed] ORDER BY vector::halfvec({dimensions}) <#> :vector::text::halfvec({dimensions}) LIMIT :limit

-- name: cosines
SELECT chunk, -(vector::halfvec({dimensions}) <#> :vector::text::halfvec({dimensions})) AS cosine FROM placed_chunks
JOIN unnest(:chunks::bigint[]) AS asked (number) ON indexed = number >> 20 AND chunk = number
WHERE vector_dims(vector) = {dimensions} AND indexed = ANY (:indexed::bigint[])
