//! Which names are safe, and which are no part of a plan.

use crate::error::IntakeError;
use crate::limits::Limits;

/// The name as a plain relative path, `/` between its parts; `.` and empty parts are dropped.
pub(crate) fn relative(shown: &str, raw: &[u8], limits: &Limits) -> Result<String, IntakeError> {
    let Ok(name) = std::str::from_utf8(raw) else {
        return Err(IntakeError::NameNotUtf8 {
            path: shown.to_owned(),
            entry: String::from_utf8_lossy(raw).escape_debug().to_string(),
        });
    };
    let (path, entry) = (shown.to_owned(), name.chars().take(200).collect::<String>());
    if name.len() > limits.path_bytes {
        return Err(IntakeError::NameTooLong {
            path,
            entry,
            limit: limits.path_bytes,
        });
    }
    let bytes = name.as_bytes();
    let drive = bytes.get(1) == Some(&b':') && bytes[0].is_ascii_alphabetic();
    let leaves = name.split('/').any(|part| part == "..");
    if name.starts_with('/') || drive || leaves || name.contains(['\\', '\0']) {
        return Err(IntakeError::Escapes { path, entry });
    }
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.len() > limits.depth + 1 {
        return Err(IntakeError::TooDeep {
            path,
            entry,
            limit: limits.depth,
        });
    }
    Ok(parts.join("/"))
}

/// Why a file or folder anywhere is no part of a plan.
pub(crate) fn noise(path: &str) -> Option<&'static str> {
    path.split('/').find_map(|part| match part {
        "__MACOSX" | ".DS_Store" => Some("left by macOS"),
        "Thumbs.db" | "desktop.ini" => Some("left by Windows"),
        ".git" => Some("a git repository"),
        part if part.starts_with("._") => Some("left by macOS"),
        part if part.starts_with('.') => Some("hidden"),
        _ => None,
    })
}

/// Why a path at the top of a plan is what Afterplan itself once added to it.
pub(crate) fn own_output(path: &str) -> Option<&'static str> {
    let ours = [
        "plan_summary.json",
        "enrichment_manifest.json",
        "enrichment_report.html",
    ];
    let is_ours = ours.contains(&path) || path == "enrichments" || path.starts_with("enrichments/");
    is_ours.then_some("written by Afterplan")
}
