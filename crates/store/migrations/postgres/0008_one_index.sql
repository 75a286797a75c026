-- One index from here on for what time will touch and for what a holder holds: a step enters it when it starts and leaves it when it ends,
-- and each index costs a commit time. Held steps stand apart from the others in it, and there are no more of them than attempts under way.

drop index step_held;
drop index step_wake;
-- used in steps::waking, steps::held_by_lapsed and idle::idle_look
create index step_wake on step (holder, wake_at) where holder is not null or wake_at is not null;

-- Packed already: not to be tried again.
alter table blob alter column stored set storage external;
alter table enrichment alter column stored set storage external;
alter table turn alter column stored set storage external;
