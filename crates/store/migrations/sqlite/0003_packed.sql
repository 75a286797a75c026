-- Details and data are packed texts from here on (text.rs), and so bytes. A text that was stored before is stored as it was.

create table orchestration_packed (
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
  detail           blob not null,
  created_at       integer not null,
  updated_at       integer not null,
  ended_at         integer
) strict;
insert into orchestration_packed
  (id, account, plan_hash, submission_key, pinned_hash, status, claimable, exclusive, running, version, artifact_version, cursor,
       chain, wake_at, detail, created_at, updated_at, ended_at)
select id, account, plan_hash, submission_key, pinned_hash, status, claimable, exclusive, running, version, artifact_version, cursor,
       chain, wake_at, cast(detail as blob), created_at, updated_at, ended_at
from orchestration
order by rowid;
drop table orchestration;
alter table orchestration_packed rename to orchestration;

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

create table step_packed (
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
  kept_hash       blob,  -- counted in blob.refs beside the columns that 0001_start names
  detail          blob not null,
  primary key (orchestration, step)
) strict;
insert into step_packed
  (orchestration, step, id, agent, state, due_at, wake_at, exclusive, concurrency_key, concurrency_max, holder, epoch, attempt,
       kept_hash, detail)
select orchestration, step, id, agent, state, due_at, wake_at, exclusive, concurrency_key, concurrency_max, holder, epoch, attempt,
       kept_hash, cast(detail as blob)
from step
order by rowid;
drop table step;
alter table step_packed rename to step;

-- used in steps::due_steps and steps::next_due
create index step_due on step (due_at, orchestration, step) where due_at is not null;
-- used in steps::waking
create index step_wake on step (wake_at) where wake_at is not null;
-- used in steps::held_by_lapsed and by the check of counters
create index step_held on step (orchestration, step) where holder is not null;

create table event_packed (
  orchestration blob not null,
  seq           integer not null,
  account       text not null,
  feed          integer not null,
  at            integer not null,
  kind          text not null,
  step          text,
  data          blob not null,
  hash          blob not null,
  primary key (orchestration, seq)
) strict;
insert into event_packed
  (orchestration, seq, account, feed, at, kind, step, data, hash)
select orchestration, seq, account, feed, at, kind, step, cast(data as blob), hash
from event
order by rowid;
drop table event;
alter table event_packed rename to event;

-- used in events::feed; unique: a feed number is given once
create unique index event_feed on event (account, feed);

create table enrichment_packed (
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
  enrichment_type text not null,
  detail        blob not null,
  primary key (orchestration, version)
) strict;
insert into enrichment_packed
  (orchestration, version, step, agent, agent_version, account, status, input_hash, data_hash, reusable, at, cost, enrichment_type,
       detail)
select orchestration, version, step, agent, agent_version, account, status, input_hash, data_hash, reusable, at, cost, enrichment_type,
       cast(detail as blob)
from enrichment
order by rowid;
drop table enrichment;
alter table enrichment_packed rename to enrichment;

-- used in enrichments::reusable
create index enrichment_reusable on enrichment (account, input_hash, at) where reusable = 1;
