-- The events of a commit are one row from here on: the last one in its columns, those before it packed beside it. An event that was stored
-- before is a row of one.

alter table event add column events integer not null default 1;  -- how many: those with the numbers seq - events + 1 to seq
alter table event add column earlier blob;                       -- all but the last, packed (bundle.rs)
-- What the commit moved of its account's money: the way from an orchestration to its transfers.
alter table event add column transfers integer not null default 0;  -- how many: those with the numbers transfer - transfers + 1 to transfer
alter table event add column transfer integer not null default 0;   -- the last one's number

-- Of before: from the first of an orchestration to its last, with others' between them.
update event
set transfer = t.last, transfers = t.last - t.first + 1
from (select account, orchestration, min(seq) as first, max(seq) as last
      from transfer
      where kind = 'settle'
      group by account, orchestration) t
where event.orchestration = t.orchestration and event.account = t.account and event.seq = 1;

-- A charge is made once because its attempt ends once, which the orchestration's fence sees to; `check` proves it.
drop index transfer_charge;
