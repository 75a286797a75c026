-- What attempts asked and were answered, so that the next attempt goes on from there. Small answers stand in their row, as an
-- enrichment's data does; larger ones are blobs with one reference from here.

create table turn (
  orchestration bytea not null,
  step          text collate "C" not null,
  conversation  bigint not null,  -- the attempt that began it; 0: what a child step was asked
  turn          bigint not null,
  attempt       bigint not null,
  asked         text collate "C" not null,
  at            bigint not null,
  data_hash     bytea not null,
  size          bigint,           -- of the plain bytes
  encoding      bigint,           -- 0 as they are, 1 zstd
  stored        bytea,
  primary key (orchestration, step, conversation, turn)
);
