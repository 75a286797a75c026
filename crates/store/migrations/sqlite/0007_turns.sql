-- What attempts asked and were answered, so that the next attempt goes on from there. Small answers stand in their row, as an
-- enrichment's data does; larger ones are blobs with one reference from here.

create table turn (
  orchestration blob not null,
  step          text not null,
  conversation  integer not null,  -- the attempt that began it; 0: what a child step was asked
  turn          integer not null,
  attempt       integer not null,
  asked         text not null,
  at            integer not null,
  data_hash     blob not null,
  size          integer,           -- of the plain bytes
  encoding      integer,           -- 0 as they are, 1 zstd
  stored        blob,
  primary key (orchestration, step, conversation, turn)
) strict;
