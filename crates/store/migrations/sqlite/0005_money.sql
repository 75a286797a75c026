-- Money. The same schema stands in migrations/postgres; change both together. Amounts are nano-credits.

-- How each account stands: what its transfers add up to, and the other sides of them (balance + charged + expired = granted + adjusted).
create table ledger (
  account  text primary key,
  seq      integer not null,  -- of its last transfer
  balance  integer not null,  -- below zero: debt
  held     integer not null,
  granted  integer not null,
  charged  integer not null,
  expired  integer not null,
  adjusted integer not null,
  at_limit text  -- what happens to what does not fit; null: as the program is configured
) strict, without rowid;

-- What was given, and what is left of it.
create table credit_grant (
  account    text not null,
  key        text not null,
  amount     integer not null,
  remaining  integer not null,
  priority   integer not null,
  expires_at integer,
  created_at integer not null,
  spent      integer not null,  -- 1 when nothing is left
  primary key (account, key)
) strict, without rowid;

-- used in ledgers::balance and by the writer's look at the accounts of a batch
create index credit_grant_left on credit_grant (account) where spent = 0;
-- used in errand_money::expire: what is past its time
create index credit_grant_due on credit_grant (expires_at, account) where spent = 0 and expires_at is not null;

-- Each change of an account's balance or of what it holds. Rows never change and are never deleted.
create table transfer (
  account       text not null,
  seq           integer not null,
  at            integer not null,
  kind          text not null,  -- hold, settle, release, expire, grant, adjust
  amount        integer not null,  -- change of the balance
  hold          integer not null,  -- change of what is held
  balance       integer not null,  -- after it
  held          integer not null,  -- after it
  orchestration blob,
  step          text,
  agent         text,
  attempt       integer,
  ordinal       integer,
  number        integer,  -- the step's, in the order of starting
  tokens        integer,  -- parts of a charge: for tokens, for tools, the base
  tools         integer,
  base          integer,
  used          integer,  -- how many tokens
  estimated     integer,
  key           text,  -- what makes a repeated grant or adjustment the same one
  note          text,
  primary key (account, seq)
) strict, without rowid;

-- used in transfers::credits_of; unique: what is charged is charged once
create unique index transfer_charge on transfer (orchestration, step, attempt, ordinal) where kind = 'settle';
-- used in errand_money::known: what was given or adjusted before; unique: it is once
create unique index transfer_key on transfer (account, key) where key is not null;

create table quota (
  account text not null,
  agent   text not null,  -- * is all agents together
  per     text not null,  -- hour, day, month
  counts  text not null,  -- count of attempts, nano-credits
  most    integer not null,
  primary key (account, agent, per, counts)
) strict, without rowid;

-- How far an account's transfers have been handed to a bookkeeping outside.
create table credit_export (
  target  text not null,
  account text not null,
  seq     integer not null,
  primary key (target, account)
) strict, without rowid;
