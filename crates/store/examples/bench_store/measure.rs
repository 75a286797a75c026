//! Clocks: wall, CPU of a thread, and the disk's.

use std::fs::{File, read_dir, read_to_string};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

/// What a round showed.
pub struct Round {
    pub per_second: f64,
    /// CPU of the writing thread, a command.
    pub cpu_micros: f64,
    pub mean_batch: f64,
}

/// CPU nanoseconds of this program's threads of that name so far, the running one's when there is no name.
pub fn cpu_nanos(thread: Option<&str>) -> u64 {
    let spent = |folder: &Path| {
        let text = read_to_string(folder.join("schedstat")).unwrap_or_default();
        let first = text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
        first.unwrap_or(0)
    };
    let Some(thread) = thread else {
        return spent(Path::new("/proc/thread-self"));
    };
    let mut sum = 0;
    for task in read_dir("/proc/self/task").unwrap() {
        let folder = task.unwrap().path();
        let name = read_to_string(folder.join("comm")).unwrap_or_default();
        if name.trim() == thread {
            sum += spent(&folder);
        }
    }
    sum
}

/// Times a piece of work on a thread.
pub fn timed(thread: Option<&str>, commands: usize, batches: usize, work: impl FnOnce()) -> Round {
    let (started, cpu) = (Instant::now(), cpu_nanos(thread));
    work();
    let wall = started.elapsed().as_secs_f64();
    let cpu = cpu_nanos(thread).saturating_sub(cpu) as f64;
    Round {
        per_second: commands as f64 / wall,
        cpu_micros: cpu / 1_000.0 / commands as f64,
        mean_batch: commands as f64 / batches as f64,
    }
}

/// The median time to write 8 kB over allocated bytes and make them durable.
pub fn fdatasync_micros(folder: &Path) -> f64 {
    let path = folder.join("sync");
    let mut file = File::create(&path).unwrap();
    let page = [7_u8; 8192];
    file.write_all(&page).unwrap();
    file.sync_all().unwrap();
    let times = (0..40)
        .map(|_| {
            file.seek(SeekFrom::Start(0)).unwrap();
            let started = Instant::now();
            file.write_all(&page).unwrap();
            file.sync_data().unwrap();
            started.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    median(times)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
