//! The statements of money. Parameters stand in the order of their numbers, so that one text does for both databases where no arrays are
//! needed.

use crate::statements::Write;

macro_rules! read_ledger {
    ($grants:literal, $which:literal) => {
        concat!(
            "
        select l.account, l.seq, l.balance, l.held, l.granted, l.charged, l.expired, l.adjusted, l.at_limit,
               g.key, g.amount, g.remaining, g.priority, g.expires_at, g.created_at
        from ledger l
        left join ",
            $grants,
            "
        where ",
            $which,
            "
        order by l.account, g.priority, coalesce(g.expires_at, 9223372036854775807), g.created_at, g.key"
        )
    };
}
/// How accounts stand, with the grants of each that have something left; each account's row is locked. PostgreSQL: looked up account by
/// account (`offset 0` keeps it so), or it would be planned as a look at all grants.
pub(crate) const READ_LEDGER: Write = Write {
    sqlite: read_ledger!(
        "credit_grant g on g.account = l.account and g.spent = 0",
        "l.account = $1"
    ),
    postgres: read_ledger!(
        "lateral (select * from credit_grant where account = l.account and spent = 0 offset 0) g on true",
        "l.account = any($1)"
    ),
};

/// How an account stands after the batch.
pub(crate) const PUT_LEDGER: &str = "
    insert into ledger (account, seq, balance, held, granted, charged, expired, adjusted, at_limit)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (account) do update
    set seq = excluded.seq, balance = excluded.balance, held = excluded.held, granted = excluded.granted, charged = excluded.charged,
        expired = excluded.expired, adjusted = excluded.adjusted, at_limit = excluded.at_limit";

/// What is left of a grant of which something is. Alone: a column that is set is written anew into every index that it stands in.
pub(crate) const USE_GRANT: &str =
    "update credit_grant set remaining = $1 where account = $2 and key = $3";

/// Nothing is left of a grant.
pub(crate) const SPEND_GRANT: &str =
    "update credit_grant set remaining = 0, spent = 1 where account = $1 and key = $2";

/// A new grant.
pub(crate) const ADD_GRANT: &str = "
    insert into credit_grant (account, key, amount, remaining, priority, expires_at, created_at, spent)
    values ($1, $2, $3, $4, $5, $6, $7, $8)";

/// A transfer.
pub(crate) const ADD_TRANSFER: &str = "
    insert into transfer (account, seq, at, kind, amount, hold, balance, held, orchestration, step, agent, attempt, ordinal, number,
                          tokens, tools, base, used, estimated, key, note)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";

/// `PUT_LEDGER`, `USE_GRANT` and `ADD_TRANSFER` of a whole batch, for PostgreSQL. A batch makes no grant and tells no note.
pub(crate) const MONEY: &str = "
    with put as (
      insert into ledger (account, seq, balance, held, granted, charged, expired, adjusted, at_limit)
      select unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[]), unnest($4::bigint[]), unnest($5::bigint[]), unnest($6::bigint[]),
             unnest($7::bigint[]), unnest($8::bigint[]), unnest($9::text[])
      on conflict (account) do update
      set seq = excluded.seq, balance = excluded.balance, held = excluded.held, granted = excluded.granted,
          charged = excluded.charged, expired = excluded.expired, adjusted = excluded.adjusted, at_limit = excluded.at_limit),
    used as (
      update credit_grant g
      set remaining = t.remaining, spent = t.spent
      from (select unnest($10::text[]) as account, unnest($11::text[]) as key, unnest($12::bigint[]) as remaining, unnest($13::bigint[]) as spent) t
      where g.account = t.account and g.key = t.key)
    insert into transfer (account, seq, at, kind, amount, hold, balance, held, orchestration, step, agent, attempt, ordinal, number,
                          tokens, tools, base, used, estimated)
    select unnest($14::text[]), unnest($15::bigint[]), unnest($16::bigint[]), unnest($17::text[]), unnest($18::bigint[]), unnest($19::bigint[]),
           unnest($20::bigint[]), unnest($21::bigint[]), unnest($22::bytea[]), unnest($23::text[]), unnest($24::text[]), unnest($25::bigint[]),
           unnest($26::bigint[]), unnest($27::bigint[]), unnest($28::bigint[]), unnest($29::bigint[]), unnest($30::bigint[]),
           unnest($31::bigint[]), unnest($32::bigint[])";
