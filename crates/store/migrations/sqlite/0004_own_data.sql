-- Data that nobody may take over stands in its enrichment's own row, as in a blob's: then no blob is referred to.

alter table enrichment add column size integer;      -- of the plain bytes
alter table enrichment add column encoding integer;  -- 0 as they are, 1 zstd
alter table enrichment add column stored blob;
