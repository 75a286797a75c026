-- What the service adds: what attempts keep, agents and keys, answers to repeated requests, revisions of plans.

-- counted in blob.refs beside the columns that 0001_start names
alter table step add column kept_hash bytea;
-- the hashes of a plan's artifacts one after another, in order: each is one reference, and a plan of one artifact is one row
alter table plan add column artifacts bytea not null default '';
update plan
set artifacts = coalesce((select string_agg(b.hash, ''::bytea order by b.hash) from plan_blob b
                  where b.account = plan.account and b.plan = plan.hash), artifacts);
drop table plan_blob;
-- what its account called it last: the way to its revisions
alter table plan add column plan_id text collate "C";

alter table enrichment add column enrichment_type text collate "C" not null default '';

create table agent (
  id         text collate "C" not null,
  version    text collate "C" not null,
  hash       bytea not null,
  definition text collate "C" not null,
  source     text collate "C" not null,
  url        text collate "C",
  created_at bigint not null,
  retired_at bigint,
  primary key (id, version)
);

create table api_key (
  id          text collate "C" primary key,
  account     text collate "C" not null,
  role        text collate "C" not null,
  label       text collate "C" not null,
  secret_hash bytea not null,
  created_at  bigint not null,
  expires_at  bigint,
  revoked_at  bigint
);

-- A write that its caller may repeat: the request's hash, what it made, and once it is done the answer.
create table idempotency (
  scope   text collate "C" not null,
  key     text collate "C" not null,
  request bytea not null,
  subject bytea not null,
  since   bigint not null,
  expires bigint not null,
  status  bigint,  -- null while the write is under way
  headers text collate "C",
  body    bytea,
  primary key (scope, key)
);

-- used in errand_service::delete_expired_writes
create index idempotency_expires on idempotency (expires);

create table plan_revision (
  account    text collate "C" not null,
  plan_id    text collate "C" not null,
  revision   bigint not null,
  plan_hash  bytea not null,
  created_at bigint not null,
  primary key (account, plan_id, revision)
);
