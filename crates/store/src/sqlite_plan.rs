//! A plan in the batch of SQLite: stored with the row set that creates its orchestration, or noted as wanted still.

use rusqlite::{Connection, OptionalExtension, params};

use crate::prepare::PackedPlan;
use crate::rows::Hash;
use crate::sqlite_write::{Statements, one};
use crate::statements::{ADD_PLAN, ADD_REVISION, LAST_REVISION, LOCK_PLAN, TOUCH_PLAN};

/// Whether the account has the plan.
pub(crate) fn is_stored(connection: &Connection, plan: &PackedPlan) -> rusqlite::Result<bool> {
    one(connection, LOCK_PLAN.sqlite)?.exists(params![plan.row.account, &plan.row.hash[..]])
}

/// The plan, its blobs and its revision; whether that is the first.
pub(crate) fn put_plan(
    statements: &mut Statements<'_>,
    plan: &PackedPlan,
) -> rusqlite::Result<bool> {
    let (row, connection) = (&plan.row, statements.connection);
    let touched = one(connection, TOUCH_PLAN.sqlite)?.execute(params![
        row.account,
        &row.hash[..],
        row.created_at,
        plan.plan_id,
    ])?;
    if touched == 0 {
        one(connection, ADD_PLAN.sqlite)?.execute(params![
            row.account,
            &row.hash[..],
            &row.manifest_hash[..],
            row.title,
            row.bytes,
            row.created_at,
            plan.artifacts,
            plan.plan_id,
        ])?;
        statements.blobs(&plan.blobs)?;
    }
    match &plan.plan_id {
        Some(plan_id) => revise(connection, plan, plan_id),
        None => Ok(false),
    }
}

/// The next revision of what the account calls by this id, where the last one is another plan; whether it is the first.
fn revise(connection: &Connection, plan: &PackedPlan, plan_id: &str) -> rusqlite::Result<bool> {
    let row = &plan.row;
    let last: Option<(i64, Hash)> = one(connection, LAST_REVISION.sqlite)?
        .query_row(params![row.account, plan_id], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
        .optional()?;
    let (revision, hash) = last.unwrap_or_default();
    if revision == 0 || hash != row.hash {
        one(connection, ADD_REVISION.sqlite)?.execute(params![
            row.account,
            plan_id,
            revision + 1,
            &row.hash[..],
            row.created_at,
        ])?;
    }
    Ok(revision == 0)
}
