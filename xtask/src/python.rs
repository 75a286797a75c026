//! A Python with NumPy, for the cross-check of the Monte Carlo: the system's own, or one made under `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// The Python to export as `AFTERPLAN_PYTHON`, or why there is none.
///
/// 1. The one named in the environment. 2. A python3 that has NumPy. 3. A virtual environment under `target/`, made once.
pub(crate) fn with_numpy() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("AFTERPLAN_PYTHON") {
        return Ok(named.into());
    }
    let system = Path::new("python3");
    if has_numpy(system) {
        return Ok(system.to_owned());
    }
    let home = shell::target()?.join("xtask").join("python");
    let python = home.join("bin").join("python3");
    if has_numpy(&python) {
        return Ok(python);
    }
    println!(
        "Making a Python environment with NumPy in {}",
        home.display()
    );
    shell::output(Command::new(system).args(["-m", "venv", "--clear"]).arg(&home)).context(
        "no virtual environment: install python3 and python3-venv, or name a Python that has NumPy in AFTERPLAN_PYTHON",
    )?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    let wheel = [
        "--only-binary",
        ":all:",
        "--timeout",
        "20",
        "--retries",
        "1",
        "numpy",
    ];
    shell::output(Command::new(&python).args(pip).args(wheel))
        .context("pip could not install numpy (no network?)")?;
    if !has_numpy(&python) {
        bail!("numpy was installed but does not import");
    }
    Ok(python)
}

fn has_numpy(python: &Path) -> bool {
    shell::output(Command::new(python).args(["-c", "import numpy"])).is_ok()
}
