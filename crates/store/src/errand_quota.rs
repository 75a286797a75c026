//! Errands of quotas: their rows, and counters that are set to what the account's transfers say.

use crate::errand::Tx;
use crate::error::StoreError;
use crate::money::{QuotaRow, Recount};
use crate::record::Value;

/// Sets a bound, or drops the one with its key: 1 where something changed.
pub(crate) async fn set(tx: &impl Tx, row: &QuotaRow, set: bool) -> Result<u64, StoreError> {
    let mut parameters = vec![
        row.account.as_str().into(),
        row.agent.as_str().into(),
        row.per.as_str().into(),
        row.counts.as_str().into(),
    ];
    if !set {
        let text =
            "delete from quota where account = $1 and agent = $2 and per = $3 and counts = $4";
        return tx.execute(text, &parameters).await;
    }
    parameters.push(row.most.into());
    let text = "
        insert into quota (account, agent, per, counts, most)
        values ($1, $2, $3, $4, $5)
        on conflict (account, agent, per, counts) do update set most = excluded.most";
    tx.execute(text, &parameters).await
}

/// Counters of quotas whose hour, day or month has long passed: their keys end in `/<hour|day|month>/<start>/<count|nano>`.
pub(crate) async fn drop_old(tx: &impl Tx, now: i64) -> Result<u64, StoreError> {
    const HOUR: i64 = 3_600_000_000;
    let text = "select key from counter where key >= 'quota/' and key < 'quota0' order by key";
    let mut dropped = 0;
    for mut r in tx.query(text, &[]).await? {
        let key = r.text("counter.key")?;
        let mut parts = key.rsplit('/').skip(1);
        let start = parts.next().and_then(|start| start.parse::<i64>().ok());
        let hours = match parts.next() {
            Some("hour") => 2,
            Some("day") => 48,
            Some("month") => 24 * 62,
            _ => continue,
        };
        if start.is_some_and(|start| start < now.saturating_sub(hours * HOUR)) {
            let text = "delete from counter where key = $1";
            dropped += tx.execute(text, &[key.as_str().into()]).await?;
        }
    }
    Ok(dropped)
}

/// Sets counters to what the account's transfers come to, under its lock: no batch moves its money meanwhile.
pub(crate) async fn recount(
    tx: &impl Tx,
    account: &str,
    counts: &[Recount],
) -> Result<u64, StoreError> {
    let text = "update account set pruned = pruned where id = $1";
    tx.execute(text, &[account.into()]).await?;
    let mut set = 0;
    for count in counts {
        let (attempts, nano) = since(tx, account, count).await?;
        // An attempt that may cost nothing has no transfer: of these the counter knows more.
        let text = if count.credits {
            "insert into counter (key, held) values ($1, $2) on conflict (key) do update set held = excluded.held"
        } else {
            "insert into counter (key, held) values ($1, $2)
             on conflict (key) do update set held = excluded.held where counter.held < excluded.held"
        };
        let held = if count.credits { nano } else { attempts };
        set += tx
            .execute(text, &[count.key.as_str().into(), held.into()])
            .await?;
    }
    Ok(set)
}

/// How many attempts began in the time, and what they hold or were charged; results without a hold count when they were charged.
async fn since(tx: &impl Tx, account: &str, count: &Recount) -> Result<(i64, i64), StoreError> {
    let text = "
        select cast(coalesce(sum(t.began), 0) as bigint), cast(coalesce(sum(t.nano), 0) as bigint)
        from (select sum(case when kind = 'hold' then hold else hold - amount end) as nano,
                     max(case when kind = 'hold' then 1 else 0 end) as began,
                     min(hold) as least
              from transfer
              where account = $1 and seq >= $2 and at >= $3 and kind in ('hold', 'settle', 'release')
                and ($4 = 1 or agent = $5)
              group by orchestration, step, attempt) t
        where t.began = 1 or t.least >= 0";
    let parameters = [
        account.into(),
        first_since(tx, account, count.from).await?.into(),
        count.from.into(),
        i64::from(count.agent.is_none()).into(),
        Value::from(count.agent.as_deref().unwrap_or("")),
    ];
    let mut rows = tx.query(text, &parameters).await?;
    rows.pop().map_or(Ok((0, 0)), |mut r| {
        Ok((r.int("transfer.began")?, r.int("transfer.nano")?))
    })
}

/// The number of the account's first transfer at that time or later, by halving: transfers are numbered in the order of time.
async fn first_since(tx: &impl Tx, account: &str, from: i64) -> Result<i64, StoreError> {
    let text = "select coalesce(max(seq), 0) from transfer where account = $1";
    let mut last = tx.query(text, &[account.into()]).await?;
    let last = last.pop().map_or(Ok(0), |mut r| r.int("transfer.seq"))?;
    let (mut low, mut high) = (1, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let text = "select at from transfer where account = $1 and seq = $2";
        let mut found = tx.query(text, &[account.into(), middle.into()]).await?;
        let at = found.pop().map_or(Ok(from), |mut r| r.int("transfer.at"))?;
        if at < from {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
