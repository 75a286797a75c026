//! The check: what must be true of the rows among themselves, over a whole database.
//!
//! Folding the events against the snapshot is the engine's part: it has the pager (`Store::orchestrations_after`).

use std::collections::BTreeMap;
use std::fmt;

use crate::chain::{START, content_hash, link};
use crate::check_money::money;
use crate::db::{Database, Store};
use crate::errand::{Tx, at_once};
use crate::error::StoreError;
use crate::record::Value;
use crate::rows::{Hash, Id};
use crate::{blobs, events};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What it is about, such as `orchestration 0192…` or `blob ab12…`.
    pub subject: String,
    /// What is wrong, with the numbers.
    pub finding: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.finding)
    }
}

/// Rows read at once: bounds memory, not the answer.
pub(crate) const PAGE: i64 = 500;

/// Blobs read at once: they may be megabytes each.
const BLOB_PAGE: i64 = 16;

impl Store {
    /// Verifies chains, cursors and feeds, blob references and contents, and the counters of rows, all as of one moment.
    /// An empty answer says that all is well.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn check(&self) -> Result<Vec<Problem>, StoreError> {
        match &*self.database {
            Database::Sqlite(sqlite) => sqlite.read(|tx| at_once(check(tx))).await,
            Database::Postgres(postgres) => postgres.read(async |tx| check(tx).await).await,
        }
    }
}

async fn check(tx: &impl Tx) -> Result<Vec<Problem>, StoreError> {
    let mut problems = Vec::new();
    orchestrations(tx, &mut problems).await?;
    feeds(tx, &mut problems).await?;
    counters(tx, &mut problems).await?;
    strays(tx, &mut problems).await?;
    agents(tx, &mut problems).await?;
    references(tx, &mut problems).await?;
    contents(tx, &mut problems).await?;
    own_contents(tx, &mut problems).await?;
    own_answers(tx, &mut problems).await?;
    money(tx, &mut problems).await?;
    Ok(problems)
}

/// Ids and hashes as a person reads them.
fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn orchestration(id: &Id) -> String {
    format!("orchestration {}", uuid::Uuid::from_bytes(*id))
}

/// Each orchestration's chain, cursor, and the two columns that sum up its steps.
async fn orchestrations(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let text = "
        select o.id, o.account, o.cursor, o.chain, o.running, o.exclusive,
               (select count(*) from step s where s.orchestration = o.id and s.holder is not null),
               (select count(*) from step s where s.orchestration = o.id and s.holder is not null and s.exclusive = 1)
        from orchestration o
        where o.id > $1
        order by o.id
        limit $2";
    let mut after: Id = [0; 16];
    loop {
        let page = tx.query(text, &[Value::from(&after), PAGE.into()]).await?;
        if page.is_empty() {
            return Ok(());
        }
        for mut r in page {
            let id: Id = r.fixed("orchestration.id")?;
            after = id;
            let mut found = |finding: String| {
                problems.push(Problem {
                    subject: orchestration(&id),
                    finding,
                });
            };
            let account = r.text("orchestration.account")?;
            let cursor = r.int("orchestration.cursor")?;
            let head: Hash = r.fixed("orchestration.chain")?;
            let running = r.int("orchestration.running")?;
            let exclusive = r.flag("orchestration.exclusive")?;
            let held = r.int("step.held")?;
            let held_alone = r.int("step.held_alone")?;
            if running != held {
                found(format!(
                    "running is {running}, but {held} steps have a holder"
                ));
            }
            if exclusive != (held_alone > 0) {
                found(format!(
                    "exclusive is {exclusive}, but {held_alone} exclusive steps have a holder"
                ));
            }
            for finding in chain(tx, &id, &account, cursor, &head).await? {
                found(finding);
            }
        }
    }
}

/// The events of one orchestration: gap-free, each hash following from the one before, ending where the row says.
async fn chain(
    tx: &impl Tx,
    id: &Id,
    account: &str,
    cursor: i64,
    head: &Hash,
) -> Result<Vec<String>, StoreError> {
    let mut findings = Vec::new();
    let (mut seq, mut hash) = (0, START);
    loop {
        let parameters = [Value::from(id), Value::from(seq), Value::from(PAGE)];
        let page = tx.query(events::EVENTS, &parameters).await?;
        if page.is_empty() {
            break;
        }
        let mut read = Vec::new();
        let unread = page
            .into_iter()
            .find_map(|record| events::decode(record, &mut read).err());
        for e in read {
            if e.seq != seq + 1 {
                findings.push(format!("event {} follows event {seq}", e.seq));
            }
            if e.account != account {
                findings.push(format!("event {} is of account {}", e.seq, e.account));
            }
            let expected = link(&hash, e.seq, e.at, &e.kind, e.step.as_deref(), &e.data);
            if expected != e.hash {
                findings.push(format!("the chain breaks at event {}", e.seq));
            }
            (seq, hash) = (e.seq, e.hash);
        }
        if let Some(error) = unread {
            findings.push(format!("after event {seq}: {error}"));
            return Ok(findings);
        }
    }
    if seq != cursor {
        findings.push(format!(
            "the cursor is {cursor}, but the last event is {seq}"
        ));
    }
    if hash != *head {
        findings.push("the chain does not end with the hash of its row".to_owned());
    }
    Ok(findings)
}

/// Each account's feed: as many events as were given numbers, less those that retention deleted, and none beyond the last.
async fn feeds(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let text = "
        select a.id, a.feed, a.pruned, cast(coalesce(sum(e.events), 0) as bigint), coalesce(min(e.feed - e.events + 1), 1),
               coalesce(max(e.feed), 0)
        from account a
        left join event e on e.account = a.id
        group by a.id, a.feed, a.pruned
        order by a.id";
    for mut r in tx.query(text, &[]).await? {
        let account = r.text("account.id")?;
        let feed = r.int("account.feed")?;
        let pruned = r.int("account.pruned")?;
        let count = r.int("event.count")?;
        let (first, last) = (r.int("event.first")?, r.int("event.last")?);
        if count + pruned != feed || first < 1 || last > feed {
            problems.push(Problem {
                subject: format!("account {account}"),
                finding: format!(
                    "the feed stands at {feed}, but there are {count} events ({first} to {last}) and {pruned} were deleted"
                ),
            });
        }
    }
    Ok(())
}

/// Counters that are concurrency keys hold as many as steps with a holder name them.
async fn counters(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let mut held: BTreeMap<String, i64> = BTreeMap::new();
    for mut r in tx
        .query("select key, held from counter order by key", &[])
        .await?
    {
        held.insert(r.text("counter.key")?, r.int("counter.held")?);
    }
    let text = "
        select s.concurrency_key, count(s.holder)
        from step s
        where s.concurrency_key is not null
        group by s.concurrency_key
        order by s.concurrency_key";
    for mut r in tx.query(text, &[]).await? {
        let key = r.text("step.concurrency_key")?;
        let counted = r.int("step.count")?;
        let held = held.get(&key).copied().unwrap_or(0);
        if held != counted {
            problems.push(Problem {
                subject: format!("counter {key}"),
                finding: format!("holds {held}, but {counted} steps with a holder name it"),
            });
        }
    }
    Ok(())
}

/// Rows whose orchestration or plan is not there.
async fn strays(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    for (table, text) in [
        (
            "step",
            "select distinct t.orchestration from step t
             where not exists (select 1 from orchestration o where o.id = t.orchestration) order by 1",
        ),
        (
            "event",
            "select distinct t.orchestration from event t
             where not exists (select 1 from orchestration o where o.id = t.orchestration) order by 1",
        ),
        (
            "turn",
            "select distinct t.orchestration from turn t
             where not exists (select 1 from orchestration o where o.id = t.orchestration) order by 1",
        ),
        (
            "enrichment",
            "select distinct t.orchestration from enrichment t
             where not exists (select 1 from orchestration o where o.id = t.orchestration) order by 1",
        ),
    ] {
        for mut r in tx.query(text, &[]).await? {
            problems.push(Problem {
                subject: orchestration(&r.fixed("orchestration")?),
                finding: format!("has {table} rows, but no row of its own"),
            });
        }
    }
    Ok(())
}

/// A query over `named`: all hashes of blobs that rows name, as often as they do. A plan's artifacts stand one after another.
macro_rules! named {
    ($query:literal) => {
        concat!(
            "with recursive place(n) as (
               select 0
               union all
               select n + 1 from place where (n + 1) * 32 < (select max(length(artifacts)) from plan)),
             named(hash) as (
               select manifest_hash from plan
               union all select substr(p.artifacts, l.n * 32 + 1, 32) from plan p join place l on l.n * 32 < length(p.artifacts)
               union all select pinned_hash from orchestration
               union all select data_hash from enrichment where data_hash is not null and stored is null
               union all select data_hash from turn where stored is null
               union all select kept_hash from step where kept_hash is not null) ",
            $query
        )
    };
}

/// Each blob has as many references as rows name it, and each that a row names is there.
async fn references(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let text = named!(
        "select n.hash, count(*), max(coalesce(b.refs, -1))
        from named n
        left join blob b on b.hash = n.hash
        group by n.hash
        having max(coalesce(b.refs, -1)) <> count(*)
        order by n.hash"
    );
    for mut r in tx.query(text, &[]).await? {
        let hash: Hash = r.fixed("blob.hash")?;
        let (named, refs) = (r.int("blob.named")?, r.int("blob.refs")?);
        problems.push(Problem {
            subject: format!("blob {}", hex(&hash)),
            finding: match refs {
                -1 => format!("is named by {named} rows, but not stored"),
                refs => format!("counts {refs} references, but {named} rows name it"),
            },
        });
    }
    let text = named!(
        "select b.hash, b.refs
        from blob b
        left join (select distinct hash from named) n on n.hash = b.hash
        where n.hash is null
        order by b.hash"
    );
    for mut r in tx.query(text, &[]).await? {
        let hash: Hash = r.fixed("blob.hash")?;
        let refs = r.int("blob.refs")?;
        problems.push(Problem {
            subject: format!("blob {}", hex(&hash)),
            finding: format!("counts {refs} references, but no row names it"),
        });
    }
    Ok(())
}

/// Each agent's definition is what its hash names.
async fn agents(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let text = "select id, version, hash, definition from agent order by id, version";
    for mut r in tx.query(text, &[]).await? {
        let (id, version) = (r.text("agent.id")?, r.text("agent.version")?);
        let hash: Hash = r.fixed("agent.hash")?;
        if content_hash(r.text("agent.definition")?.as_bytes()) != hash {
            problems.push(Problem {
                subject: format!("agent {id} {version}"),
                finding: "holds another definition than its hash names".to_owned(),
            });
        }
    }
    Ok(())
}

/// Each blob's bytes are those that its hash names.
async fn contents(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let text =
        "select hash, size, encoding, stored from blob where hash > $1 order by hash limit $2";
    let mut after: Hash = [0; 32];
    loop {
        let page = tx
            .query(text, &[Value::from(&after), BLOB_PAGE.into()])
            .await?;
        if page.is_empty() {
            return Ok(());
        }
        for record in page {
            let (hash, unpacked) = blobs::decode_loose(record)?;
            after = hash;
            let finding = match unpacked {
                Ok(plain) if content_hash(&plain) == hash => continue,
                Ok(_) => "holds other bytes than its hash names",
                Err(_) => "does not unpack",
            };
            problems.push(Problem {
                subject: format!("blob {}", hex(&hash)),
                finding: finding.to_owned(),
            });
        }
    }
}

/// Each enrichment's data that stands in its own row is what its hash names.
async fn own_contents(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let text = "
        select orchestration, version, data_hash, size, encoding, stored
        from enrichment
        where stored is not null and (orchestration > $1 or (orchestration = $1 and version > $2))
        order by orchestration, version
        limit $3";
    let mut after: (Id, i64) = ([0; 16], 0);
    loop {
        let parameters = [Value::from(&after.0), after.1.into(), PAGE.into()];
        let page = tx.query(text, &parameters).await?;
        if page.is_empty() {
            return Ok(());
        }
        for mut record in page {
            after = (
                record.fixed("enrichment.orchestration")?,
                record.int("enrichment.version")?,
            );
            let (hash, unpacked) = blobs::decode_loose(record)?;
            let finding = match unpacked {
                Ok(plain) if content_hash(&plain) == hash => continue,
                Ok(_) => "holds other data than its hash names",
                Err(_) => "has data that does not unpack",
            };
            problems.push(Problem {
                subject: orchestration(&after.0),
                finding: format!("enrichment {} {finding}", after.1),
            });
        }
    }
}

/// Each turn's answer that stands in its own row is what its hash names.
async fn own_answers(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let text = "
        select orchestration, step, conversation, turn, data_hash, size, encoding, stored
        from turn
        where stored is not null
          and (orchestration, step, conversation, turn) > ($1, $2, $3, $4)
        order by orchestration, step, conversation, turn
        limit $5";
    let mut after: (Id, String, i64, i64) = ([0; 16], String::new(), 0, 0);
    loop {
        let (id, step, conversation, turn) = &after;
        let parameters = [
            Value::from(id),
            Value::from(step.as_str()),
            (*conversation).into(),
            (*turn).into(),
            PAGE.into(),
        ];
        let page = tx.query(text, &parameters).await?;
        if page.is_empty() {
            return Ok(());
        }
        for mut r in page {
            after = (
                r.fixed("turn.orchestration")?,
                r.text("turn.step")?,
                r.int("turn.conversation")?,
                r.int("turn.turn")?,
            );
            let (hash, unpacked) = blobs::decode_loose(r)?;
            if !matches!(unpacked, Ok(plain) if content_hash(&plain) == hash) {
                let (_, step, conversation, turn) = &after;
                problems.push(Problem {
                    subject: orchestration(&after.0),
                    finding: format!(
                        "turn {turn} of {step} (conversation {conversation}) holds another answer than its hash names"
                    ),
                });
            }
        }
    }
}
