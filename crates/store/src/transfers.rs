//! Reads of transfers: an account's history, what an orchestration was charged, sums by day, what agents used to cost.

use crate::db::Store;
use crate::error::StoreError;
use crate::money::{ChargeColumns, TransferRow};
use crate::record::{Record, Value};
use crate::rows::Id;

/// Which transfers of an account are wanted; the default wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferFilter {
    /// Only these of one kind: `hold`, `settle`, `release`, `expire`, `grant`, `adjust`.
    pub kind: Option<String>,
    /// Only these of one orchestration.
    pub orchestration: Option<Id>,
    /// Only these of one step, by its id.
    pub step: Option<String>,
    /// Only these of one agent.
    pub agent: Option<String>,
    /// Only these from this time on, in microseconds.
    pub from: Option<i64>,
    /// Only these before this time, in microseconds.
    pub to: Option<i64>,
}

/// What an agent was charged on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayRow {
    /// The day, counted from 1970-01-01 in UTC.
    pub day: i64,
    /// The agent.
    pub agent: String,
    /// What it was charged, in nano-credits.
    pub charged: i64,
    /// How many charges.
    pub charges: i64,
    /// How many tokens were used.
    pub used: i64,
}

/// One charge of an agent, with the size of what it read: what a forecast learns from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The orchestration.
    pub orchestration: Id,
    /// Id of the step.
    pub step: String,
    /// The attempt.
    pub attempt: i64,
    /// Plain bytes of the plan; none where retention has deleted the orchestration.
    pub plan_bytes: Option<i64>,
    /// What was charged.
    pub charge: ChargeColumns,
    /// When, in microseconds.
    pub at: i64,
}

/// A step of an agent that ended, as its row has it: what a forecast learns from where others may work for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastStepRow {
    /// Plain bytes of the plan.
    pub plan_bytes: i64,
    /// The step's detail, as its row has it.
    pub detail: String,
}

macro_rules! columns {
    () => {
        "select t.account, t.seq, t.at, t.kind, t.amount, t.hold, t.balance, t.held, t.orchestration, t.step, t.agent, t.attempt,
                t.ordinal, t.number, t.tokens, t.tools, t.base, t.used, t.estimated, t.key, t.note
         from transfer t "
    };
}

/// All of an account's transfers from one number on; used by the check too.
pub(crate) const AFTER: &str = concat!(
    columns!(),
    "where t.account = $1 and t.seq > $2
     order by t.seq
     limit $3"
);

/// The conditions of a filter, whose parameters are the first of the text.
macro_rules! filtered {
    ($query:literal, $rest:literal) => {
        concat!(
            $query,
            "where t.account = $1
               and ($2 = 1 or t.kind = $3)
               and ($4 = 1 or t.orchestration = $5)
               and ($6 = 1 or t.step = $7)
               and ($8 = 1 or t.agent = $9)
               and t.at >= $10 and t.at < $11 ",
            $rest
        )
    };
    ($rest:literal) => {
        filtered!(
            "select t.account, t.seq, t.at, t.kind, t.amount, t.hold, t.balance, t.held, t.orchestration, t.step, t.agent, t.attempt,
                    t.ordinal, t.number, t.tokens, t.tools, t.base, t.used, t.estimated, t.key, t.note
             from transfer t ",
            $rest
        )
    };
}

impl TransferFilter {
    fn parameters(&self, account: &str) -> Vec<Value> {
        let any = |given: bool| Value::Int(i64::from(!given));
        let text = |given: &Option<String>| Value::from(given.as_deref().unwrap_or(""));
        vec![
            account.into(),
            any(self.kind.is_some()),
            text(&self.kind),
            any(self.orchestration.is_some()),
            Value::from(&self.orchestration.unwrap_or_default()),
            any(self.step.is_some()),
            text(&self.step),
            any(self.agent.is_some()),
            text(&self.agent),
            self.from.unwrap_or(i64::MIN).into(),
            self.to.unwrap_or(i64::MAX).into(),
        ]
    }
}

impl Store {
    /// An account's transfers, the newest first, those before the number `before`.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn history(
        &self,
        account: &str,
        filter: &TransferFilter,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<TransferRow>, StoreError> {
        const TEXT: &str = filtered!("and t.seq < $12 order by t.seq desc limit $13");
        let mut parameters = filter.parameters(account);
        parameters.push(before.unwrap_or(i64::MAX).into());
        parameters.push(limit.into());
        let rows = self.query(TEXT, parameters).await?;
        rows.into_iter().map(decode).collect()
    }

    /// The same, the oldest first, those after the number `after`: for exports.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn history_after(
        &self,
        account: &str,
        filter: &TransferFilter,
        after: i64,
        limit: i64,
    ) -> Result<Vec<TransferRow>, StoreError> {
        const TEXT: &str = filtered!("and t.seq > $12 order by t.seq limit $13");
        let mut parameters = filter.parameters(account);
        parameters.push(after.into());
        parameters.push(limit.into());
        let rows = self.query(TEXT, parameters).await?;
        rows.into_iter().map(decode).collect()
    }

    /// All of an account's transfers after the number `after`, the oldest first.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn transfers_after(
        &self,
        account: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<TransferRow>, StoreError> {
        let parameters = vec![account.into(), after.into(), limit.into()];
        let rows = self.query(AFTER, parameters).await?;
        rows.into_iter().map(decode).collect()
    }

    /// What an orchestration was charged, in the order of its account's transfers: its events lead to them.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn credits_of(&self, orchestration: Id) -> Result<Vec<TransferRow>, StoreError> {
        const TEXT: &str = concat!(
            columns!(),
            "join event e on e.account = t.account and t.seq > e.transfer - e.transfers and t.seq <= e.transfer
             where e.orchestration = $1 and e.transfers > 0 and t.orchestration = $1 and t.kind = 'settle'
             order by t.seq"
        );
        let rows = self.query(TEXT, vec![Value::from(&orchestration)]).await?;
        rows.into_iter().map(decode).collect()
    }

    /// What an account was charged, by day and agent.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn charged_by_day(
        &self,
        account: &str,
        filter: &TransferFilter,
    ) -> Result<Vec<DayRow>, StoreError> {
        // 86,400,000,000 microseconds are a day. PostgreSQL sums bigints to a numeric, which no column here is. Of a count of tokens that
        // nobody believes (there are as large ones as a column takes) two have no sum.
        const TEXT: &str = filtered!(
            "select t.at / 86400000000, t.agent, cast(sum(-t.amount) as bigint), count(*),
                cast(sum(case when t.used <= 40000000000 then t.used else 0 end) as bigint)
             from transfer t ",
            "and t.kind = 'settle'
             group by t.at / 86400000000, t.agent
             order by 1, 2"
        );
        let rows = self.query(TEXT, filter.parameters(account)).await?;
        let decode = |mut r: Record| {
            Ok(DayRow {
                day: r.int("transfer.day")?,
                agent: r.text("transfer.agent")?,
                charged: r.int("transfer.charged")?,
                charges: r.int("transfer.charges")?,
                used: r.int("transfer.used")?,
            })
        };
        rows.into_iter().map(decode).collect()
    }

    /// The last charges of an agent in an account, the newest first, looked for among the account's last `among` transfers.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn usage_of(
        &self,
        account: &str,
        agent: &str,
        among: i64,
        limit: i64,
    ) -> Result<Vec<UsageRow>, StoreError> {
        const TEXT: &str = "
            select t.orchestration, t.step, t.attempt, p.bytes, t.tokens, t.tools, t.base, t.used, t.estimated, t.at
            from (select * from transfer where account = $1 order by seq desc limit $3) t
            left join orchestration o on o.id = t.orchestration
            left join plan p on p.account = t.account and p.hash = o.plan_hash
            where t.agent = $2 and t.kind = 'settle'
            order by t.seq desc
            limit $4";
        let parameters = vec![account.into(), agent.into(), among.into(), limit.into()];
        let rows = self.query(TEXT, parameters).await?;
        let decode = |mut r: Record| {
            Ok(UsageRow {
                orchestration: r.fixed("transfer.orchestration")?,
                step: r.text("transfer.step")?,
                attempt: r.int("transfer.attempt")?,
                plan_bytes: r.opt_int("plan.bytes")?,
                charge: charge(&mut r)?.unwrap_or_default(),
                at: r.int("transfer.at")?,
            })
        };
        rows.into_iter().map(decode).collect()
    }
}

impl Store {
    /// Steps of an agent in the latest orchestrations of an account, looked for among those that its last `among` transfers were for.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn past_steps_of(
        &self,
        account: &str,
        agent: &str,
        among: i64,
        limit: i64,
    ) -> Result<Vec<PastStepRow>, StoreError> {
        const TEXT: &str = "
            select p.bytes, s.detail
            from (select distinct r.orchestration
                  from (select orchestration from transfer where account = $1 order by seq desc limit $3) r
                  where r.orchestration is not null) t
            join orchestration o on o.id = t.orchestration
            join plan p on p.account = o.account and p.hash = o.plan_hash
            join step s on s.orchestration = o.id and s.agent = $2
            order by o.id desc
            limit $4";
        let parameters = vec![account.into(), agent.into(), among.into(), limit.into()];
        let rows = self.query(TEXT, parameters).await?;
        let decode = |mut r: Record| {
            Ok(PastStepRow {
                plan_bytes: r.int("plan.bytes")?,
                detail: r.packed("step.detail")?,
            })
        };
        rows.into_iter().map(decode).collect()
    }
}

fn charge(r: &mut Record) -> Result<Option<ChargeColumns>, StoreError> {
    let tokens = r.opt_int("transfer.tokens")?;
    let (tools, base) = (r.opt_int("transfer.tools")?, r.opt_int("transfer.base")?);
    let used = r.opt_int("transfer.used")?;
    let estimated = r.opt_int("transfer.estimated")?;
    Ok(tokens.map(|tokens| ChargeColumns {
        tokens,
        tools: tools.unwrap_or(0),
        base: base.unwrap_or(0),
        used: used.unwrap_or(0),
        estimated: estimated == Some(1),
    }))
}

pub(crate) fn decode(mut r: Record) -> Result<TransferRow, StoreError> {
    Ok(TransferRow {
        account: r.text("transfer.account")?,
        seq: r.int("transfer.seq")?,
        at: r.int("transfer.at")?,
        kind: r.text("transfer.kind")?,
        amount: r.int("transfer.amount")?,
        hold: r.int("transfer.hold")?,
        balance: r.int("transfer.balance")?,
        held: r.int("transfer.held")?,
        orchestration: r.opt_fixed("transfer.orchestration")?,
        step: r.opt_text("transfer.step")?,
        agent: r.opt_text("transfer.agent")?,
        attempt: r.opt_int("transfer.attempt")?,
        ordinal: r.opt_int("transfer.ordinal")?,
        number: r.opt_int("transfer.number")?,
        charge: charge(&mut r)?,
        key: r.opt_text("transfer.key")?,
        note: r.opt_text("transfer.note")?,
    })
}
