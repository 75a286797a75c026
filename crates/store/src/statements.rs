//! The statements of the writer's batch, each write with its two texts side by side: SQLite runs the first once a row, PostgreSQL the
//! second once a batch. Everything else in this crate is one text for both.

/// A write in both dialects.
pub(crate) struct Write {
    /// A prepared statement, looped.
    pub(crate) sqlite: &'static str,
    /// One statement over arrays, unnested side by side in a list of expressions: in `from` each array would be laid out in a store of
    /// tuples of its own before the first row is seen.
    pub(crate) postgres: &'static str,
}

/// A new orchestration. On SQLite no row changed means that the id is taken; on PostgreSQL the batch has looked before.
pub(crate) const INSERT_ORCHESTRATION: Write = Write {
    sqlite: "
        insert into orchestration (id, account, plan_hash, submission_key, pinned_hash, status, claimable, exclusive, running, version,
                                   artifact_version, cursor, chain, wake_at, detail, created_at, updated_at, ended_at)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
        on conflict (id) do nothing",
    postgres: "
        insert into orchestration (id, account, plan_hash, submission_key, pinned_hash, status, claimable, exclusive, running, version,
                                   artifact_version, cursor, chain, wake_at, detail, created_at, updated_at, ended_at)
        select id, account, plan_hash, submission_key, pinned_hash, status, claimable, exclusive, running, 1,
               artifact_version, cursor, chain, wake_at, detail, created_at, updated_at, ended_at
        from (select unnest($1::bytea[]) as id, unnest($2::text[]) as account, unnest($3::bytea[]) as plan_hash,
                     unnest($4::bytea[]) as submission_key, unnest($5::bytea[]) as pinned_hash, unnest($6::text[]) as status,
                     unnest($7::bigint[]) as claimable, unnest($8::bigint[]) as exclusive, unnest($9::bigint[]) as running,
                     unnest($10::bigint[]) as artifact_version, unnest($11::bigint[]) as cursor, unnest($12::bytea[]) as chain,
                     unnest($13::bigint[]) as wake_at, unnest($14::bytea[]) as detail, unnest($15::bigint[]) as created_at,
                     unnest($16::bigint[]) as updated_at, unnest($17::bigint[]) as ended_at) t",
};

/// What nearly every batch does: orchestrations as they shall stand, their steps, events, enrichments, the accounts' feeds.
pub(crate) struct Progress {
    /// The fence: no row changed means overtaken (PostgreSQL has looked before, with the accounts locked). For what has not ended:
    /// a column that is set is written anew into every index that it stands in, changed or not.
    pub(crate) update_orchestration: &'static str,
    /// The same for what ends.
    pub(crate) end_orchestration: &'static str,
    /// A step as it shall stand, new or touched.
    pub(crate) put_step: &'static str,
    /// The events of a row set, as one row.
    pub(crate) append_events: &'static str,
    /// An enrichment.
    pub(crate) add_enrichment: &'static str,
    /// An account's last feed number at the end of the batch.
    pub(crate) set_feed: &'static str,
    /// All of them over arrays, and one notification: each statement of a batch costs the writer a wake-up, so that one is best.
    pub(crate) postgres: &'static str,
}

/// Six prepared statements for SQLite, one for PostgreSQL.
pub(crate) const PROGRESS: Progress = Progress {
    update_orchestration: "
        update orchestration
        set status = ?5, claimable = ?6, exclusive = ?7, running = ?8, version = version + 1, artifact_version = ?9,
            cursor = ?10, chain = ?11, wake_at = ?12, detail = ?13, updated_at = ?14
        where id = ?1 and version = ?2 and cursor = ?3 and chain = ?4",
    end_orchestration: "
        update orchestration
        set status = ?5, claimable = ?6, exclusive = ?7, running = ?8, version = version + 1, artifact_version = ?9,
            cursor = ?10, chain = ?11, wake_at = ?12, detail = ?13, updated_at = ?14, ended_at = ?15
        where id = ?1 and version = ?2 and cursor = ?3 and chain = ?4",
    put_step: "
        insert into step (orchestration, step, id, agent, state, due_at, wake_at, exclusive, concurrency_key, concurrency_max,
                          holder, epoch, attempt, kept_hash, detail)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
        on conflict (orchestration, step) do update
        set id = excluded.id, agent = excluded.agent, state = excluded.state, due_at = excluded.due_at, wake_at = excluded.wake_at,
            exclusive = excluded.exclusive, concurrency_key = excluded.concurrency_key, concurrency_max = excluded.concurrency_max,
            holder = excluded.holder, epoch = excluded.epoch, attempt = excluded.attempt, kept_hash = excluded.kept_hash,
            detail = excluded.detail",
    append_events: "
        insert into event (orchestration, seq, account, feed, at, kind, step, data, hash, events, earlier, transfers, transfer)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    add_enrichment: "
        insert into enrichment (orchestration, version, step, agent, agent_version, account, enrichment_type, status, input_hash,
                                data_hash, reusable, at, cost, detail, size, encoding, stored)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    set_feed: "update account set feed = ?2 where id = ?1",
    postgres: "
        with updated as (
          update orchestration o
          set status = t.status, claimable = t.claimable, exclusive = t.exclusive, running = t.running, version = o.version + 1,
              artifact_version = t.artifact_version, cursor = t.cursor, chain = t.chain, wake_at = t.wake_at, detail = t.detail,
              updated_at = t.updated_at, ended_at = t.ended_at
          from (select unnest($1::bytea[]) as id, unnest($2::text[]) as status, unnest($3::bigint[]) as claimable,
                       unnest($4::bigint[]) as exclusive, unnest($5::bigint[]) as running, unnest($6::bigint[]) as artifact_version,
                       unnest($7::bigint[]) as cursor, unnest($8::bytea[]) as chain, unnest($9::bigint[]) as wake_at,
                       unnest($10::bytea[]) as detail, unnest($11::bigint[]) as updated_at, unnest($12::bigint[]) as ended_at) t
          where o.id = t.id),
        put as (
          insert into step (orchestration, step, id, agent, state, due_at, wake_at, exclusive, concurrency_key, concurrency_max,
                            holder, epoch, attempt, kept_hash, detail)
          select unnest($13::bytea[]), unnest($14::bigint[]), unnest($15::text[]), unnest($16::text[]), unnest($17::text[]),
                 unnest($18::bigint[]), unnest($19::bigint[]), unnest($20::bigint[]), unnest($21::text[]), unnest($22::bigint[]),
                 unnest($23::bytea[]), unnest($24::bigint[]), unnest($25::bigint[]), unnest($26::bytea[]), unnest($27::bytea[])
          on conflict (orchestration, step) do update
          set id = excluded.id, agent = excluded.agent, state = excluded.state, due_at = excluded.due_at, wake_at = excluded.wake_at,
              exclusive = excluded.exclusive, concurrency_key = excluded.concurrency_key, concurrency_max = excluded.concurrency_max,
              holder = excluded.holder, epoch = excluded.epoch, attempt = excluded.attempt, kept_hash = excluded.kept_hash,
              detail = excluded.detail),
        appended as (
          insert into event (orchestration, seq, account, feed, at, kind, step, data, hash, events, earlier, transfers, transfer)
          select unnest($28::bytea[]), unnest($29::bigint[]), unnest($30::text[]), unnest($31::bigint[]), unnest($32::bigint[]),
                 unnest($33::text[]), unnest($34::text[]), unnest($35::bytea[]), unnest($36::bytea[]), unnest($37::bigint[]),
                 unnest($38::bytea[]), unnest($39::bigint[]), unnest($40::bigint[])),
        enriched as (
          insert into enrichment (orchestration, version, step, agent, agent_version, account, enrichment_type, status, input_hash,
                                  data_hash, reusable, at, cost, detail, size, encoding, stored)
          select unnest($41::bytea[]), unnest($42::bigint[]), unnest($43::text[]), unnest($44::text[]), unnest($45::text[]), unnest($46::text[]),
                 unnest($47::text[]), unnest($48::text[]), unnest($49::bytea[]), unnest($50::bytea[]), unnest($51::bigint[]),
                 unnest($52::bigint[]), unnest($53::bigint[]), unnest($54::bytea[]), unnest($55::bigint[]), unnest($56::bigint[]),
                 unnest($57::bytea[])),
        given as (
          update account a
          set feed = t.feed
          from (select unnest($58::text[]) as id, unnest($59::bigint[]) as feed) t
          where a.id = t.id)
        select pg_notify($60, $61)",
};

/// A blob with its bytes, or more references to one that is there. PostgreSQL: each hash once, in order (locks).
pub(crate) const PUT_BLOB: Write = Write {
    sqlite: "
        insert into blob (hash, size, encoding, stored, refs)
        values (?1, ?2, ?3, ?4, ?5)
        on conflict (hash) do update set refs = blob.refs + excluded.refs",
    postgres: "
        insert into blob (hash, size, encoding, stored, refs)
        select unnest($1::bytea[]), unnest($2::bigint[]), unnest($3::bigint[]), unnest($4::bytea[]), unnest($5::bigint[])
        on conflict (hash) do update set refs = blob.refs + excluded.refs",
};

/// More references to a blob that is there.
pub(crate) const REFER_BLOB: Write = Write {
    sqlite: "update blob set refs = refs + ?2 where hash = ?1",
    postgres: "
        update blob b
        set refs = b.refs + t.refs
        from (select unnest($1::bytea[]) as hash, unnest($2::bigint[]) as refs) t
        where b.hash = t.hash",
};

/// A counter's value at the end of the batch. SQLite: the row may be new; PostgreSQL: it was made when it was locked.
pub(crate) const SET_COUNTER: Write = Write {
    sqlite: "
        insert into counter (key, held)
        values (?1, ?2)
        on conflict (key) do update set held = excluded.held",
    postgres: "
        update counter c
        set held = t.held
        from (select unnest($1::text[]) as key, unnest($2::bigint[]) as held) t
        where c.key = t.key",
};

/// Counters that hold nothing leave no row.
pub(crate) const DROP_COUNTER: Write = Write {
    sqlite: "delete from counter where key = ?1",
    postgres: "delete from counter where key = any($1)",
};

/// The account's row, made when it is not there.
pub(crate) const MAKE_ACCOUNT: Write = Write {
    sqlite: "insert into account (id, feed, pruned, created_at) values (?1, 0, 0, ?2) on conflict (id) do nothing",
    postgres: "
        insert into account (id, feed, pruned, created_at)
        select id, 0, 0, at from (select unnest($1::text[]) as id, unnest($2::bigint[]) as at) t
        on conflict (id) do nothing",
};

/// The last feed number given. PostgreSQL: locks the rows in the order of their ids, and with them every orchestration of the account:
/// whoever writes orchestrations holds their account.
pub(crate) const LOCK_ACCOUNT: Write = Write {
    sqlite: "select feed from account where id = ?1",
    postgres: "select id, feed from account where id = any($1) order by id for update",
};

/// What a counter holds. PostgreSQL: makes and locks the rows in the order of the array.
pub(crate) const LOCK_COUNTER: Write = Write {
    sqlite: "select held from counter where key = ?1",
    postgres: "
        insert into counter (key, held)
        select key, 0 from unnest($1::text[]) as t(key)
        on conflict (key) do update set held = counter.held
        returning key, held",
};

/// What stands in the way of a new orchestration: an unended one of the same submission. PostgreSQL: looked up one by one, or it would
/// be planned as a look at all that are unended.
pub(crate) const OPEN_SUBMISSION: Write = Write {
    sqlite: "
        select id from orchestration
        where account = ?1 and submission_key = ?2 and ended_at is null and submission_key is not null",
    postgres: "
        select t.account, t.key, o.id
        from (select unnest($1::text[]) as account, unnest($2::bytea[]) as key) t
        cross join lateral (
          select id from orchestration
          where account = t.account and submission_key = t.key and ended_at is null and submission_key is not null
          limit 1) o",
};

/// How an orchestration stands. PostgreSQL: only of those that stand otherwise than expected (nulls: not at all).
pub(crate) const STANDING: Write = Write {
    sqlite: "select version from orchestration where id = ?1",
    postgres: "
        select t.id, o.version
        from (select unnest($1::bytea[]) as id, unnest($2::bigint[]) as version, unnest($3::bigint[]) as cursor, unnest($4::bytea[]) as chain) t
        left join orchestration o on o.id = t.id
        where o.version is distinct from t.version
           or o.cursor is distinct from t.cursor
           or o.chain is distinct from t.chain",
};

/// Whether a blob is there. PostgreSQL: locks the rows in the order of their hashes, and tells how many references each has.
pub(crate) const LOCK_BLOB: Write = Write {
    sqlite: "select 1 from blob where hash = ?1",
    postgres: "select hash, refs from blob where hash = any($1) order by hash for update",
};

/// Blobs of these that no row refers to any more go. SQLite: after each row set that released some.
pub(crate) const DROP_BLOB: Write = Write {
    sqlite: "delete from blob where hash = ?1 and refs <= 0",
    postgres: "delete from blob where hash = any($1) and refs <= 0",
};

/// Whether the account has a plan. PostgreSQL: locks the rows, whose accounts are locked already.
pub(crate) const LOCK_PLAN: Write = Write {
    sqlite: "select 1 from plan where account = ?1 and hash = ?2",
    postgres: "
        select p.account, p.hash
        from plan p
        join (select unnest($1::text[]) as account, unnest($2::bytea[]) as hash) t on p.account = t.account and p.hash = t.hash
        order by p.account, p.hash
        for update of p",
};

/// A plan that the account has not.
pub(crate) const ADD_PLAN: Write = Write {
    sqlite: "
        insert into plan (account, hash, manifest_hash, title, bytes, created_at, artifacts, plan_id)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    postgres: "
        insert into plan (account, hash, manifest_hash, title, bytes, created_at, artifacts, plan_id)
        select unnest($1::text[]), unnest($2::bytea[]), unnest($3::bytea[]), unnest($4::text[]), unnest($5::bigint[]), unnest($6::bigint[]),
               unnest($7::bytea[]), unnest($8::text[])",
};

/// A plan that is wanted still.
pub(crate) const TOUCH_PLAN: Write = Write {
    sqlite: "update plan set created_at = ?3, plan_id = coalesce(?4, plan_id) where account = ?1 and hash = ?2",
    postgres: "
        update plan p
        set created_at = t.created_at, plan_id = coalesce(t.plan_id, p.plan_id)
        from (select unnest($1::text[]) as account, unnest($2::bytea[]) as hash, unnest($3::bigint[]) as created_at,
                     unnest($4::text[]) as plan_id) t
        where p.account = t.account and p.hash = t.hash",
};

/// The last revision of what an account calls by an id.
pub(crate) const LAST_REVISION: Write = Write {
    sqlite: "
        select revision, plan_hash
        from plan_revision
        where account = ?1 and plan_id = ?2
        order by revision desc
        limit 1",
    postgres: "
        select distinct on (r.account, r.plan_id) r.account, r.plan_id, r.revision, r.plan_hash
        from plan_revision r
        join (select unnest($1::text[]) as account, unnest($2::text[]) as plan_id) t on r.account = t.account and r.plan_id = t.plan_id
        order by r.account, r.plan_id, r.revision desc",
};

/// A revision.
pub(crate) const ADD_REVISION: Write = Write {
    sqlite: "
        insert into plan_revision (account, plan_id, revision, plan_hash, created_at)
        values (?1, ?2, ?3, ?4, ?5)",
    postgres: "
        insert into plan_revision (account, plan_id, revision, plan_hash, created_at)
        select unnest($1::text[]), unnest($2::text[]), unnest($3::bigint[]), unnest($4::bytea[]), unnest($5::bigint[])",
};
