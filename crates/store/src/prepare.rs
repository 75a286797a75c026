//! What the caller's side does before the writer sees a row set: refuses what contradicts itself, counts references, packs blobs,
//! links the chain. The writer is one for all, so that whatever can be done here is done here.

use std::collections::BTreeMap;

use crate::bundle;
use crate::chain::link;
use crate::error::StoreError;
use crate::ledger::{Moved, check_amounts};
use crate::pack::pack;
use crate::rows::{Hash, PlanRow};
use crate::text::pack_text;
use crate::write::{NewBlob, NewEvent, NewPlan, RowSet};

/// A row set that is ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The rows. `orchestration.chain` and `.cursor` are as they shall stand; `blobs`, `kept`, `released` and `plan` are empty.
    pub(crate) rows: RowSet,
    /// The chain's hash after each event.
    pub(crate) hashes: Vec<Hash>,
    /// The chain's hash before the first event.
    pub(crate) chain_before: Hash,
    /// The cursor before the first event.
    pub(crate) cursor_before: i64,
    /// Blobs with bytes, by hash.
    pub(crate) blobs: Vec<PackedBlob>,
    /// For each enrichment, its data where that stands in its own row.
    pub(crate) own: Vec<Option<PackedBlob>>,
    /// For each turn, its answer where that stands in its own row.
    pub(crate) own_turns: Vec<Option<PackedBlob>>,
    /// Blobs that must be stored already, and the references that they gain, by hash.
    pub(crate) referred: Vec<(Hash, i64)>,
    /// Blobs that lose references, and how many, by hash.
    pub(crate) released: Vec<(Hash, i64)>,
    /// The plan, packed.
    pub(crate) plan: Option<PackedPlan>,
    /// `orchestration.detail`, `detail` of each step, the events' row and `detail` of each enrichment, as they are stored; the texts
    /// themselves are gone.
    pub(crate) texts: Texts,
    /// About how many bytes it writes.
    pub(crate) bytes: usize,
}

/// Packed texts, each kind in the order of its rows.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) orchestration: Vec<u8>,
    pub(crate) steps: Vec<Vec<u8>>,
    /// Nothing where nothing happened.
    pub(crate) events: Option<Bundle>,
    pub(crate) enrichments: Vec<Vec<u8>>,
}

/// What is packed of the events' row.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// `data` of the last one.
    pub(crate) data: Vec<u8>,
    /// Those before it.
    pub(crate) earlier: Option<Vec<u8>>,
}

impl Bundle {
    fn take(events: &mut [NewEvent], hashes: &[Hash]) -> Option<Self> {
        let (last, earlier) = events.split_last_mut()?;
        let data = pack_text(&std::mem::take(&mut last.data));
        let packed = bundle::pack(earlier.iter().zip(hashes), last.at);
        earlier.iter_mut().for_each(|e| e.data.clear());
        Some(Self {
            data,
            earlier: (!earlier.is_empty()).then_some(packed),
        })
    }
}

impl Texts {
    fn take(rows: &mut RowSet, hashes: &[Hash]) -> Self {
        let pack = |text: &mut String| pack_text(&std::mem::take(text));
        Self {
            orchestration: pack(&mut rows.orchestration.detail),
            steps: rows.steps.iter_mut().map(|s| pack(&mut s.detail)).collect(),
            events: Bundle::take(&mut rows.events, hashes),
            enrichments: rows
                .enrichments
                .iter_mut()
                .map(|e| pack(&mut e.detail))
                .collect(),
        }
    }

    fn bytes(&self) -> usize {
        let events = self.events.iter();
        let events = events.flat_map(|b| b.earlier.iter().chain([&b.data]));
        let all = self.steps.iter().chain(events).chain(&self.enrichments);
        self.orchestration.len() + all.map(Vec::len).sum::<usize>()
    }
}

/// The row of a row set's events.
pub(crate) struct EventColumns<'s> {
    pub(crate) last: &'s NewEvent,
    pub(crate) feed: i64,
    pub(crate) data: &'s [u8],
    pub(crate) hash: &'s Hash,
    pub(crate) count: i64,
    pub(crate) earlier: Option<&'s [u8]>,
    pub(crate) transfers: i64,
    pub(crate) transfer: i64,
}

impl<'s> EventColumns<'s> {
    /// Given the feed number before the first of them, and the transfers of their row set.
    pub(crate) fn of(set: &'s Prepared, feed_before: i64, moved: &[Moved]) -> Option<Self> {
        let bundle = set.texts.events.as_ref()?;
        let count = set.hashes.len() as i64;
        Some(Self {
            last: set.rows.events.last()?,
            feed: feed_before + count,
            data: &bundle.data,
            hash: set.hashes.last()?,
            count,
            earlier: bundle.earlier.as_deref(),
            transfers: moved.len() as i64,
            transfer: moved.last().map_or(0, |m| m.seq),
        })
    }
}

/// A blob as it is stored.
#[derive(Debug)]
pub(crate) struct PackedBlob {
    pub(crate) hash: Hash,
    pub(crate) size: i64,
    pub(crate) encoding: i64,
    pub(crate) stored: Vec<u8>,
    /// References that it gains.
    pub(crate) refs: i64,
}

impl PackedBlob {
    pub(crate) fn new(blob: &NewBlob, refs: i64) -> Self {
        let (encoding, stored) = pack(&blob.bytes);
        Self {
            hash: blob.hash,
            size: i64::try_from(blob.bytes.len()).unwrap_or(i64::MAX),
            encoding,
            stored,
            refs,
        }
    }
}

/// A plan as it is stored.
#[derive(Debug)]
pub(crate) struct PackedPlan {
    pub(crate) row: PlanRow,
    pub(crate) plan_id: Option<String>,
    /// The hashes of its artifacts one after another, in order: what `plan.artifacts` holds.
    pub(crate) artifacts: Vec<u8>,
    /// Its blobs by hash, with the references that the plan holds to each: one as its manifest, one as an artifact. Empty where the
    /// plan was found stored: then it is only touched.
    pub(crate) blobs: Vec<PackedBlob>,
}

impl PackedPlan {
    /// Packs each blob once.
    pub(crate) fn new(plan: NewPlan, known: bool) -> Result<Self, StoreError> {
        let NewPlan {
            row,
            plan_id,
            manifest,
            mut artifacts,
        } = plan;
        no_nul("plan.account", &row.account)?;
        no_nul("plan.title", &row.title)?;
        no_nul("plan_revision.plan_id", plan_id.as_deref().unwrap_or(""))?;
        artifacts.sort_unstable_by_key(|b| b.hash);
        artifacts.dedup_by_key(|b| b.hash);
        let hashes = artifacts.iter().flat_map(|b| b.hash).collect();
        let mut blobs = Vec::new();
        if !known {
            blobs.extend(artifacts.iter().map(|b| PackedBlob::new(b, 1)));
            match blobs.binary_search_by_key(&row.manifest_hash, |b| b.hash) {
                Ok(at) => blobs[at].refs += 1,
                Err(at) => {
                    let manifest = NewBlob {
                        hash: row.manifest_hash,
                        bytes: manifest,
                    };
                    blobs.insert(at, PackedBlob::new(&manifest, 1));
                }
            }
        }
        Ok(Self {
            row,
            plan_id,
            artifacts: hashes,
            blobs,
        })
    }

    /// Whether its bytes were left out, since it was found stored.
    pub(crate) fn is_bare(&self) -> bool {
        self.blobs.is_empty()
    }
}

/// Bytes of rows beside their texts, roughly: for the bound on a batch.
const ROW_BYTES: usize = 200;

/// Makes a row set ready.
///
/// # Errors
/// `Nul` for a text with a NUL character, `Refused` for rows that contradict each other.
pub(crate) fn prepare(mut rows: RowSet, plan_known: bool) -> Result<Prepared, StoreError> {
    refuse_nul(&rows)?;
    let named = references(&mut rows)?;
    let released = counted(std::mem::take(&mut rows.released));
    let plan = rows.plan.take();
    let plan = plan
        .map(|plan| packed_plan(plan, &rows, plan_known))
        .transpose()?;
    let chain_before = rows.orchestration.chain;
    let cursor_before = match rows.events.first() {
        Some(first) => first.seq - 1,
        None => rows.orchestration.cursor,
    };
    let mut hashes = Vec::with_capacity(rows.events.len());
    let mut chain = chain_before;
    let mut cursor = cursor_before;
    let row_count = 2 + rows.steps.len() + rows.enrichments.len() + rows.turns.len();
    let mut bytes = ROW_BYTES * row_count;
    for event in &rows.events {
        if event.seq != cursor + 1 {
            return Err(StoreError::Refused(format!(
                "event {} follows event {cursor}",
                event.seq
            )));
        }
        let step = event.step.as_deref();
        chain = link(&chain, event.seq, event.at, &event.kind, step, &event.data);
        cursor = event.seq;
        hashes.push(chain);
    }
    if rows.expected_version.is_none() && (cursor_before, chain_before) != (0, crate::chain::START)
    {
        return Err(StoreError::Refused(
            "a new orchestration's events start at 1, its chain at zero".to_owned(),
        ));
    }
    rows.orchestration.chain = chain;
    rows.orchestration.cursor = cursor;
    bytes += (named.blobs.iter())
        .chain(named.own.iter().chain(&named.own_turns).flatten())
        .chain(plan.iter().flat_map(|plan| &plan.blobs))
        .map(|b| ROW_BYTES + b.stored.len())
        .sum::<usize>();
    rows.counters.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    rows.steps.sort_unstable_by_key(|s| s.step);
    if rows.counters.windows(2).any(|w| w[0].key == w[1].key) {
        return Err(StoreError::Refused("a counter is changed twice".to_owned()));
    }
    if rows.steps.windows(2).any(|w| w[0].step == w[1].step) {
        return Err(StoreError::Refused("a step is written twice".to_owned()));
    }
    check_money(&rows)?;
    let texts = Texts::take(&mut rows, &hashes);
    bytes += texts.bytes();
    Ok(Prepared {
        texts,
        rows,
        hashes,
        chain_before,
        cursor_before,
        blobs: named.blobs,
        own: named.own,
        own_turns: named.own_turns,
        referred: named.referred,
        released,
        plan,
        bytes,
    })
}

fn check_money(rows: &RowSet) -> Result<(), StoreError> {
    if rows.events.is_empty() && !rows.money.is_empty() {
        return Err(StoreError::Refused(
            "money moves, and no event tells of it".to_owned(),
        ));
    }
    check_amounts(&rows.money)
}

fn packed_plan(plan: NewPlan, rows: &RowSet, known: bool) -> Result<PackedPlan, StoreError> {
    let o = &rows.orchestration;
    if (&plan.row.account, plan.row.hash) != (&o.account, o.plan_hash) {
        return Err(StoreError::Refused(
            "a plan is given that the orchestration does not enrich".to_owned(),
        ));
    }
    PackedPlan::new(plan, known)
}

/// Each hash once, in order, with how often it stood there.
fn counted(mut hashes: Vec<Hash>) -> Vec<(Hash, i64)> {
    hashes.sort_unstable();
    let equal = hashes.chunk_by(|a, b| a == b);
    equal.map(|of| (of[0], of.len() as i64)).collect()
}

/// Up to this many plain bytes, data that nobody may take over stands in its enrichment's own row: a blob's row is found by an index
/// over hashes, which fall anywhere, so that each costs a commit a page of its own. More bytes are worth storing once.
const OWN_MAX: usize = 64 << 10;

/// What the rows name: blobs with bytes, data for enrichments' own rows, blobs without bytes, with the references they gain.
struct References {
    blobs: Vec<PackedBlob>,
    own: Vec<Option<PackedBlob>>,
    own_turns: Vec<Option<PackedBlob>>,
    referred: Vec<(Hash, i64)>,
}

fn references(rows: &mut RowSet) -> Result<References, StoreError> {
    let mut gained: BTreeMap<Hash, i64> = BTreeMap::new();
    if rows.expected_version.is_none() {
        *gained.entry(rows.orchestration.pinned_hash).or_default() += 1;
    }
    let applied = rows.enrichments.iter().filter_map(|e| e.data_hash);
    let recorded = rows.turns.iter().map(|t| t.data_hash);
    for hash in applied.chain(recorded).chain(rows.kept.drain(..)) {
        *gained.entry(hash).or_default() += 1;
    }
    let mut packed = Vec::with_capacity(rows.blobs.len());
    let mut own: Vec<Option<PackedBlob>> = rows.enrichments.iter().map(|_| None).collect();
    let mut own_turns: Vec<Option<PackedBlob>> = rows.turns.iter().map(|_| None).collect();
    let mut new = std::mem::take(&mut rows.blobs);
    new.sort_unstable_by_key(|b| b.hash);
    new.dedup_by_key(|b| b.hash);
    for blob in &new {
        let Some(refs) = gained.remove(&blob.hash) else {
            return Err(StoreError::Refused(
                "a blob is given that no row of the row set names".to_owned(),
            ));
        };
        let mut enrichments = rows.enrichments.iter();
        let only = enrichments.position(|e| e.data_hash == Some(blob.hash) && !e.reusable);
        let turn = rows.turns.iter().position(|t| t.data_hash == blob.hash);
        let small = refs == 1 && blob.bytes.len() <= OWN_MAX;
        match (only, turn) {
            (Some(at), _) if small => own[at] = Some(PackedBlob::new(blob, 0)),
            (None, Some(at)) if small => own_turns[at] = Some(PackedBlob::new(blob, 0)),
            _ => packed.push(PackedBlob::new(blob, refs)),
        }
    }
    Ok(References {
        blobs: packed,
        own,
        own_turns,
        referred: gained.into_iter().collect(),
    })
}

/// PostgreSQL cannot hold a NUL in a text, and the chain parts its fields by it.
pub(crate) fn no_nul(column: &'static str, text: &str) -> Result<(), StoreError> {
    if text.as_bytes().contains(&0) {
        Err(StoreError::Nul { column })
    } else {
        Ok(())
    }
}

fn refuse_nul(rows: &RowSet) -> Result<(), StoreError> {
    let o = &rows.orchestration;
    no_nul("orchestration.account", &o.account)?;
    no_nul("orchestration.status", &o.status)?;
    no_nul("orchestration.detail", &o.detail)?;
    for s in &rows.steps {
        no_nul("step.id", &s.id)?;
        no_nul("step.agent", &s.agent)?;
        no_nul("step.state", &s.state)?;
        no_nul(
            "step.concurrency_key",
            s.concurrency_key.as_deref().unwrap_or(""),
        )?;
        no_nul("step.detail", &s.detail)?;
    }
    for e in &rows.events {
        no_nul("event.kind", &e.kind)?;
        no_nul("event.step", e.step.as_deref().unwrap_or(""))?;
        no_nul("event.data", &e.data)?;
    }
    for e in &rows.enrichments {
        no_nul("enrichment.step", &e.step)?;
        no_nul("enrichment.agent", &e.agent)?;
        no_nul("enrichment.agent_version", &e.agent_version)?;
        no_nul("enrichment.account", &e.account)?;
        no_nul("enrichment.enrichment_type", &e.enrichment_type)?;
        no_nul("enrichment.status", &e.status)?;
        no_nul("enrichment.detail", &e.detail)?;
    }
    for t in &rows.turns {
        no_nul("turn.step", &t.step)?;
        no_nul("turn.asked", &t.asked)?;
    }
    rows.counters
        .iter()
        .try_for_each(|c| no_nul("counter.key", &c.key))
}
