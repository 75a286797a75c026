-- Money. The same schema stands in migrations/sqlite; change both together. Amounts are nano-credits.

-- How each account stands: what its transfers add up to, and the other sides of them (balance + charged + expired = granted + adjusted).
create table ledger (
  account  text collate "C" primary key,
  seq      bigint not null,   -- of its last transfer
  balance  bigint not null,   -- below zero: debt
  held     bigint not null,
  granted  bigint not null,
  charged  bigint not null,
  expired  bigint not null,
  adjusted bigint not null,
  at_limit text collate "C"   -- what happens to what does not fit; null: as the program is configured
) with (fillfactor = 50);

-- What was given, and what is left of it.
create table credit_grant (
  account    text collate "C" not null,
  key        text collate "C" not null,
  amount     bigint not null,
  remaining  bigint not null,
  priority   bigint not null,
  expires_at bigint,
  created_at bigint not null,
  spent      bigint not null,   -- 1 when nothing is left
  primary key (account, key)
) with (fillfactor = 50);

-- used in ledgers::balance and by the writer's look at the accounts of a batch
create index credit_grant_left on credit_grant (account) where spent = 0;
-- used in errand_money::expire: what is past its time
create index credit_grant_due on credit_grant (expires_at, account) where spent = 0 and expires_at is not null;

-- Each change of an account's balance or of what it holds. Rows never change and are never deleted.
create table transfer (
  account       text collate "C" not null,
  seq           bigint not null,
  at            bigint not null,
  kind          text collate "C" not null,  -- hold, settle, release, expire, grant, adjust
  amount        bigint not null,            -- change of the balance
  hold          bigint not null,            -- change of what is held
  balance       bigint not null,            -- after it
  held          bigint not null,            -- after it
  orchestration bytea,
  step          text collate "C",
  agent         text collate "C",
  attempt       bigint,
  ordinal       bigint,
  number        bigint,                     -- the step's, in the order of starting
  tokens        bigint,                     -- parts of a charge: for tokens, for tools, the base
  tools         bigint,
  base          bigint,
  used          bigint,                     -- how many tokens
  estimated     bigint,
  key           text collate "C",           -- what makes a repeated grant or adjustment the same one
  note          text collate "C",
  primary key (account, seq)
);

-- used in transfers::credits_of; unique: what is charged is charged once
create unique index transfer_charge on transfer (orchestration, step, attempt, ordinal) where kind = 'settle';
-- used in errand_money::known: what was given or adjusted before; unique: it is once
create unique index transfer_key on transfer (account, key) where key is not null;

create table quota (
  account text collate "C" not null,
  agent   text collate "C" not null,  -- * is all agents together
  per     text collate "C" not null,  -- hour, day, month
  counts  text collate "C" not null,  -- count of attempts, nano-credits
  most    bigint not null,
  primary key (account, agent, per, counts)
);

-- How far an account's transfers have been handed to a bookkeeping outside.
create table credit_export (
  target  text collate "C" not null,
  account text collate "C" not null,
  seq     bigint not null,
  primary key (target, account)
);
