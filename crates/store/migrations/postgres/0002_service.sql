-- What the service adds: what attempts keep, agents and keys, answers to repeated requests, revisions of plans.

-- counted in blob.refs beside the columns that 0001_start names
alter table step add column kept_hash bytea;
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
