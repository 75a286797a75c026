-- What the service adds: what attempts keep, agents and keys, answers to repeated requests, revisions of plans.

-- counted in blob.refs beside the columns that 0001_start names
alter table step add column kept_hash blob;
-- the hashes of a plan's artifacts one after another, in order: each is one reference, and a plan of one artifact is one row
alter table plan add column artifacts blob not null default x'';
update plan
set artifacts = coalesce(unhex((select group_concat(hex(b.hash), '' order by b.hash) from plan_blob b
                        where b.account = plan.account and b.plan = plan.hash)), artifacts);
drop table plan_blob;
-- what its account called it last: the way to its revisions
alter table plan add column plan_id text;

alter table enrichment add column enrichment_type text not null default '';

create table agent (
  id         text not null,
  version    text not null,
  hash       blob not null,
  definition text not null,
  source     text not null,
  url        text,
  created_at integer not null,
  retired_at integer,
  primary key (id, version)
) strict;

create table api_key (
  id          text primary key,
  account     text not null,
  role        text not null,
  label       text not null,
  secret_hash blob not null,
  created_at  integer not null,
  expires_at  integer,
  revoked_at  integer
) strict;

-- A write that its caller may repeat: the request's hash, what it made, and once it is done the answer.
create table idempotency (
  scope   text not null,
  key     text not null,
  request blob not null,
  subject blob not null,
  since   integer not null,
  expires integer not null,
  status  integer,  -- null while the write is under way
  headers text,
  body    blob,
  primary key (scope, key)
) strict;

-- used in errand_service::delete_expired_writes
create index idempotency_expires on idempotency (expires);

create table plan_revision (
  account    text not null,
  plan_id    text not null,
  revision   integer not null,
  plan_hash  blob not null,
  created_at integer not null,
  primary key (account, plan_id, revision)
) strict, without rowid;
