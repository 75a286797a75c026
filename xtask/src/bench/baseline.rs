//! What this machine can do at best, here and now: the sync of its disk, its memory, its hashing.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::line::Figure;
use crate::shell;

/// Syncs of an 8 kB page in a file that was already allocated, as a write-ahead log does them.
const SYNCS: usize = 200;
const PAGE: usize = 8192;
const PAGES: usize = 256;

/// Far more than the caches hold.
const BULK: usize = 256 << 20;

pub(crate) fn measure(folder: &Path) -> Result<Vec<Figure>> {
    println!("\n== baseline");
    let mut figures = Vec::from_iter(load());
    figures.extend(sync_time(folder)?);
    let (copy, source) = copy_speed();
    figures.push(copy);
    figures.extend(hash_speed(folder, &source)?);
    Ok(figures)
}

/// How many programs wanted a core in the last minute: beyond the number of cores, wall times say little.
fn load() -> Option<Figure> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load = text.split(' ').next()?.parse().ok()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Some(Figure::new(
        "machine-load-1min",
        load,
        &format!("of-{cores}-cores"),
    ))
}

fn sync_time(folder: &Path) -> Result<Vec<Figure>> {
    let mut file = File::create(folder.join("sync"))?;
    file.write_all(&vec![1; PAGE * PAGES])?;
    file.sync_all()?;
    let mut times = Vec::with_capacity(SYNCS);
    for n in 0..SYNCS {
        file.seek(SeekFrom::Start((n % PAGES * PAGE) as u64))?;
        file.write_all(&[n as u8; PAGE])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(vec![
        Figure::new("machine-fdatasync-p50", times[SYNCS / 2], "us"),
        Figure::new("machine-fdatasync-p99", times[SYNCS * 99 / 100], "us"),
    ])
}

fn copy_speed() -> (Figure, Vec<u8>) {
    let source: Vec<u8> = (0..BULK / 8)
        .flat_map(|n| (n as u64).to_le_bytes())
        .collect();
    let mut copy = vec![0u8; BULK];
    let seconds = (0..3).map(|_| {
        let began = Instant::now();
        copy.copy_from_slice(std::hint::black_box(&source));
        began.elapsed().as_secs_f64()
    });
    let best = seconds.fold(f64::INFINITY, f64::min);
    (
        Figure::new("machine-memcpy", BULK as f64 / best / 1e9, "GB/s"),
        source,
    )
}

/// By the system's own `sha256sum`, where there is one.
fn hash_speed(folder: &Path, bytes: &[u8]) -> Result<Option<Figure>> {
    let path = folder.join("bulk");
    std::fs::write(&path, bytes)?;
    let began = Instant::now();
    let hashed = shell::output(Command::new("sha256sum").arg(&path));
    let seconds = began.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(hashed
        .ok()
        .map(|_| Figure::new("machine-sha256", bytes.len() as f64 / seconds / 1e6, "MB/s")))
}
