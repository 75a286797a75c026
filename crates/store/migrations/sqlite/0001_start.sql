-- Orchestrations and what they own, as rows. The same schema stands in migrations/postgres; change both together.
-- Times are microseconds, ids 16 bytes, hashes 32 bytes, booleans 0 or 1, JSON is text that no statement reads.

create table account (
  id         text primary key,
  feed       integer not null,  -- the last feed number given
  pruned     integer not null,  -- how many events of it retention has deleted: count(event) + pruned = feed
  created_at integer not null
) strict, without rowid;

create table plan (
  account       text not null,
  hash          blob not null,
  manifest_hash blob not null,
  title         text not null,
  bytes         integer not null,
  created_at    integer not null,
  primary key (account, hash)
) strict, without rowid;

-- used in errand::delete_plans: plans that nobody put for long
create index plan_old on plan (created_at, account, hash);

-- Which blobs a plan's artifacts are: each row is one reference.
create table plan_blob (
  account text not null,
  plan    blob not null,
  hash    blob not null,
  primary key (account, plan, hash)
) strict, without rowid;

-- refs counts the rows that name it: plan.manifest_hash, plan_blob.hash, orchestration.pinned_hash, enrichment.data_hash.
create table blob (
  hash     blob primary key,
  size     integer not null,  -- of the plain bytes
  encoding integer not null,  -- 0 as they are, 1 zstd
  stored   blob not null,
  refs     integer not null
) strict;

create table orchestration (
  id               blob primary key,
  account          text not null,
  plan_hash        blob not null,
  submission_key   blob,
  pinned_hash      blob not null,
  status           text not null,
  claimable        integer not null,
  exclusive        integer not null,
  running          integer not null,
  version          integer not null,
  artifact_version integer not null,
  cursor           integer not null,
  chain            blob not null,
  wake_at          integer,
  detail           text not null,
  created_at       integer not null,
  updated_at       integer not null,
  ended_at         integer
) strict;

-- used in orchestrations::open_by_submission and by the writer's look for a submission that is under way
create unique index orchestration_submission on orchestration (account, submission_key)
  where ended_at is null and submission_key is not null;
-- used in orchestrations::list
create index orchestration_list on orchestration (account, id);
-- used in steps::waking
create index orchestration_wake on orchestration (wake_at) where wake_at is not null;
-- used in errand::delete_ended: the oldest ended
create index orchestration_ended on orchestration (ended_at, id) where ended_at is not null;
-- used in errand::delete_plans: is a plan still used
create index orchestration_plan on orchestration (account, plan_hash);

create table step (
  orchestration   blob not null,
  step            integer not null,
  id              text not null,
  agent           text not null,
  state           text not null,
  due_at          integer,
  wake_at         integer,
  exclusive       integer not null,
  concurrency_key text,
  concurrency_max integer,
  holder          blob,
  epoch           integer,
  attempt         integer not null,
  detail          text not null,
  primary key (orchestration, step)
) strict;

-- used in steps::due_steps and steps::next_due
create index step_due on step (due_at, orchestration, step) where due_at is not null;
-- used in steps::waking
create index step_wake on step (wake_at) where wake_at is not null;
-- used in steps::held_by_lapsed and by the check of counters
create index step_held on step (orchestration, step) where holder is not null;

create table event (
  orchestration blob not null,
  seq           integer not null,
  account       text not null,
  feed          integer not null,
  at            integer not null,
  kind          text not null,
  step          text,
  data          text not null,
  hash          blob not null,
  primary key (orchestration, seq)
) strict;

-- used in events::feed; unique: a feed number is given once
create unique index event_feed on event (account, feed);

create table enrichment (
  orchestration blob not null,
  version       integer not null,
  step          text not null,
  agent         text not null,
  agent_version text not null,
  account       text not null,
  status        text not null,
  input_hash    blob not null,
  data_hash     blob,
  reusable      integer not null,
  at            integer not null,
  cost          integer not null,
  detail        text not null,
  primary key (orchestration, version)
) strict;

-- used in enrichments::reusable
create index enrichment_reusable on enrichment (account, input_hash, at) where reusable = 1;

create table holder (
  id        blob primary key,
  kind      text not null,
  epoch     integer not null,
  until     integer not null,
  label     text not null,
  opened_at integer not null
) strict;

create table counter (
  key  text primary key,
  held integer not null
) strict, without rowid;
