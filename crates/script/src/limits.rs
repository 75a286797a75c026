//! How much a script may take.

use std::time::Duration;

/// The bounds of one script. Memory and stack hold for its whole life, the others for each step, its start being one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of everything that the script keeps, its own code included. An empty sandbox takes about 200,000.
    pub heap_bytes: usize,
    /// Bytes of the stack: some thousand nested calls in 256 KiB.
    pub stack_bytes: usize,
    /// Calls and backward jumps of one step, counted in ten thousands. The same script with the same answers always needs
    /// the same number.
    pub fuel: u64,
    /// How long one step may take, whatever it does. Meant for what fuel does not see, and never reached otherwise.
    pub step_time: Duration,
    /// Bytes of the source text.
    pub source_bytes: usize,
    /// Bytes of JSON that go in at one step.
    pub input_bytes: usize,
    /// Bytes of JSON that one yield may have.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            heap_bytes: 32 << 20,
            stack_bytes: 256 << 10,
            fuel: 50_000_000,
            step_time: Duration::from_secs(10),
            source_bytes: 1 << 20,
            input_bytes: 16 << 20,
            output_bytes: 8 << 20,
        }
    }
}
