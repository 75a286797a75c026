-- Orchestrations and what they own, as rows. The same schema stands in migrations/sqlite; change both together.
-- Times are microseconds, ids 16 bytes, hashes 32 bytes, booleans 0 or 1, JSON is text that no statement reads.

create table account (
  id         text collate "C" primary key,
  feed       bigint not null,  -- the last feed number given
  pruned     bigint not null,  -- how many events of it retention has deleted: count(event) + pruned = feed
  created_at bigint not null
) with (fillfactor = 70);

create table plan (
  account       text collate "C" not null,
  hash          bytea not null,
  manifest_hash bytea not null,
  title         text collate "C" not null,
  bytes         bigint not null,
  created_at    bigint not null,
  primary key (account, hash)
);

-- used in errand::delete_plans: plans that nobody put for long
create index plan_old on plan (created_at, account, hash);

-- Which blobs a plan's artifacts are: each row is one reference.
create table plan_blob (
  account text collate "C" not null,
  plan    bytea not null,
  hash    bytea not null,
  primary key (account, plan, hash)
);

-- refs counts the rows that name it: plan.manifest_hash, plan_blob.hash, orchestration.pinned_hash, enrichment.data_hash.
create table blob (
  hash     bytea primary key,
  size     bigint not null,  -- of the plain bytes
  encoding bigint not null,  -- 0 as they are, 1 zstd
  stored   bytea not null,
  refs     bigint not null
);

create table orchestration (
  id               bytea primary key,
  account          text collate "C" not null,
  plan_hash        bytea not null,
  submission_key   bytea,
  pinned_hash      bytea not null,
  status           text collate "C" not null,
  claimable        bigint not null,
  exclusive        bigint not null,
  running          bigint not null,
  version          bigint not null,
  artifact_version bigint not null,
  cursor           bigint not null,
  chain            bytea not null,
  wake_at          bigint,
  detail           text collate "C" not null,
  created_at       bigint not null,
  updated_at       bigint not null,
  ended_at         bigint
) with (fillfactor = 70);

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
  orchestration   bytea not null,
  step            bigint not null,
  id              text collate "C" not null,
  agent           text collate "C" not null,
  state           text collate "C" not null,
  due_at          bigint,
  wake_at         bigint,
  exclusive       bigint not null,
  concurrency_key text collate "C",
  concurrency_max bigint,
  holder          bytea,
  epoch           bigint,
  attempt         bigint not null,
  detail          text collate "C" not null,
  primary key (orchestration, step)
) with (fillfactor = 70);

-- used in steps::due_steps and steps::next_due
create index step_due on step (due_at, orchestration, step) where due_at is not null;
-- used in steps::waking
create index step_wake on step (wake_at) where wake_at is not null;
-- used in steps::held_by_lapsed and by the check of counters
create index step_held on step (orchestration, step) where holder is not null;

create table event (
  orchestration bytea not null,
  seq           bigint not null,
  account       text collate "C" not null,
  feed          bigint not null,
  at            bigint not null,
  kind          text collate "C" not null,
  step          text collate "C",
  data          text collate "C" not null,
  hash          bytea not null,
  primary key (orchestration, seq)
);

-- used in events::feed; unique: a feed number is given once
create unique index event_feed on event (account, feed);

create table enrichment (
  orchestration bytea not null,
  version       bigint not null,
  step          text collate "C" not null,
  agent         text collate "C" not null,
  agent_version text collate "C" not null,
  account       text collate "C" not null,
  status        text collate "C" not null,
  input_hash    bytea not null,
  data_hash     bytea,
  reusable      bigint not null,
  at            bigint not null,
  cost          bigint not null,
  detail        text collate "C" not null,
  primary key (orchestration, version)
);

-- used in enrichments::reusable
create index enrichment_reusable on enrichment (account, input_hash, at) where reusable = 1;

create table holder (
  id        bytea primary key,
  kind      text collate "C" not null,
  epoch     bigint not null,
  until     bigint not null,
  label     text collate "C" not null,
  opened_at bigint not null
);

create table counter (
  key  text collate "C" primary key,
  held bigint not null
) with (fillfactor = 70);
