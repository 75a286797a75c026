//! Turns: what an attempt asked and was answered, written once with its event and read when its conversation goes on.

use tokio_postgres::types::ToSql;

use crate::db::Store;
use crate::error::StoreError;
use crate::pack::unpack;
use crate::prepare::{PackedBlob, Prepared};
use crate::record::{Record, Value};
use crate::rows::{Hash, Id};
use crate::statements::Write;

/// One turn. Never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnRow {
    /// Id of its step.
    pub step: String,
    /// The attempt that began its conversation; 0 for what a child step was asked.
    pub conversation: i64,
    /// Its place in the conversation.
    pub turn: i64,
    /// The attempt that it belongs to.
    pub attempt: i64,
    /// Who was asked, in the words of the domain.
    pub asked: String,
    /// When it was recorded, in microseconds.
    pub at: i64,
    /// Hash of its answer: in this row where it is short and a row set brought it, else in the blob, which then has one reference
    /// from here.
    pub data_hash: Hash,
}

/// A turn. PostgreSQL: over arrays.
pub(crate) const ADD_TURN: Write = Write {
    sqlite: "
        insert into turn (orchestration, step, conversation, turn, attempt, asked, at, data_hash, size, encoding, stored)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    postgres: "
        insert into turn (orchestration, step, conversation, turn, attempt, asked, at, data_hash, size, encoding, stored)
        select unnest($1::bytea[]), unnest($2::text[]), unnest($3::bigint[]), unnest($4::bigint[]), unnest($5::bigint[]), unnest($6::text[]),
               unnest($7::bigint[]), unnest($8::bytea[]), unnest($9::bigint[]), unnest($10::bigint[]), unnest($11::bytea[])",
};

crate::postgres_columns::columns! {
    /// `ADD_TURN`.
    Turns {
        orchestration: &'s [u8], step: &'s str, conversation: i64, turn: i64, attempt: i64, asked: &'s str, at: i64,
        data_hash: &'s [u8], size: Option<i64>, encoding: Option<i64>, stored: Option<&'s [u8]>,
    }
}

impl<'s> Turns<'s> {
    /// Those of an admitted row set.
    pub(crate) fn put(&mut self, set: &'s Prepared) {
        for (t, own) in set.rows.turns.iter().zip(&set.own_turns) {
            let (own, id) = (own.as_ref(), &set.rows.orchestration.id);
            self.push(
                id,
                &t.step,
                t.conversation,
                t.turn,
                t.attempt,
                &t.asked,
                t.at,
                &t.data_hash,
                own.map(|own| own.size),
                own.map(|own| own.encoding),
                own.map(|own| own.stored.as_slice()),
            );
        }
    }
}

/// Those of an admitted row set, on SQLite.
pub(crate) fn put(connection: &rusqlite::Connection, set: &Prepared) -> rusqlite::Result<()> {
    if set.rows.turns.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(ADD_TURN.sqlite)?;
    for (t, own) in set.rows.turns.iter().zip(&set.own_turns) {
        let own: Option<&PackedBlob> = own.as_ref();
        statement.execute(rusqlite::params![
            &set.rows.orchestration.id[..],
            t.step,
            t.conversation,
            t.turn,
            t.attempt,
            t.asked,
            t.at,
            &t.data_hash[..],
            own.map(|own| own.size),
            own.map(|own| own.encoding),
            own.map(|own| &own.stored),
        ])?;
    }
    Ok(())
}

impl Store {
    /// The turns of one conversation of a step, in order, each with its answer's plain bytes.
    ///
    /// # Errors
    /// `Decode` when stored bytes are not there or do not unpack, else whatever the database said.
    pub async fn turns(
        &self,
        orchestration: Id,
        step: &str,
        conversation: i64,
    ) -> Result<Vec<(TurnRow, Vec<u8>)>, StoreError> {
        const TEXT: &str = "
            select t.step, t.conversation, t.turn, t.attempt, t.asked, t.at, t.data_hash,
                   coalesce(t.size, b.size), coalesce(t.encoding, b.encoding), coalesce(t.stored, b.stored)
            from turn t
            left join blob b on b.hash = t.data_hash and t.stored is null
            where t.orchestration = $1 and t.step = $2 and t.conversation = $3
            order by t.turn";
        let parameters = vec![
            Value::from(&orchestration),
            Value::from(step),
            Value::from(conversation),
        ];
        let rows = self.query(TEXT, parameters).await?;
        rows.into_iter().map(decode).collect()
    }

    /// The conversations of a step and the turns of each, without answers, in order.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn turns_of(
        &self,
        orchestration: Id,
        step: &str,
    ) -> Result<Vec<TurnRow>, StoreError> {
        const TEXT: &str = "
            select step, conversation, turn, attempt, asked, at, data_hash
            from turn
            where orchestration = $1 and step = $2
            order by conversation, turn";
        let parameters = vec![Value::from(&orchestration), Value::from(step)];
        let rows = self.query(TEXT, parameters).await?;
        rows.into_iter().map(|mut r| row(&mut r)).collect()
    }
}

fn row(r: &mut Record) -> Result<TurnRow, StoreError> {
    Ok(TurnRow {
        step: r.text("turn.step")?,
        conversation: r.int("turn.conversation")?,
        turn: r.int("turn.turn")?,
        attempt: r.int("turn.attempt")?,
        asked: r.text("turn.asked")?,
        at: r.int("turn.at")?,
        data_hash: r.fixed("turn.data_hash")?,
    })
}

fn decode(mut r: Record) -> Result<(TurnRow, Vec<u8>), StoreError> {
    let row = row(&mut r)?;
    let (size, encoding) = (r.int("turn.size")?, r.int("turn.encoding")?);
    let plain = unpack(encoding, size, r.bytes("turn.stored")?)?;
    Ok((row, plain))
}
