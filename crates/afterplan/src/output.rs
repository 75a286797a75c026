//! Writing the enriched plan: aside first, then renamed into place, so that nothing half-written is ever seen.

pub mod archive;
pub mod clash;
pub mod folder;
pub mod git;
pub mod place;

use std::io;
use std::path::PathBuf;

use domain::values::ids::OrchestrationId;
use engine::artifact::EnrichedPlan;
use intake::named::Named;
use report::files::{OutputFile, files};
use server::enriched::outcome;

use crate::failure::Failure;
use crate::output::place::{Form, Place};
use crate::screen::shown;

/// Writes the original artifacts, untouched, and what the orchestration made of them. Returns where.
pub fn write(
    place: Place,
    named: &Named,
    id: OrchestrationId,
    enriched: &EnrichedPlan,
) -> Result<PathBuf, Failure> {
    let made = files(&outcome(&named.name, id, enriched));
    put(place, named, id, enriched, &made)
}

/// The same with files that somebody else has made.
pub fn put(
    place: Place,
    named: &Named,
    id: OrchestrationId,
    enriched: &EnrichedPlan,
    made: &[OutputFile],
) -> Result<PathBuf, Failure> {
    match place.form() {
        Form::Zip => archive::write(place.aside(), &named.files, made),
        Form::Folder => folder::write(place.aside(), &named.files, made),
        Form::Repository => {
            let outcome = outcome(&named.name, id, enriched);
            git::write(&place, &named.files, made, &outcome)
        }
    }
    .map_err(|error| unwritten(&place, &error))?;
    place.reveal()
}

/// What went wrong, with the way out.
fn unwritten(place: &Place, error: &io::Error) -> Failure {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    let (what, way_out) = if !place.aside().exists() {
        let gone = format!(
            "somebody removed {}, where it was made",
            shown(place.aside())
        );
        (gone, "call again")
    } else if [StorageFull, QuotaExceeded].contains(&error.kind()) {
        (error.to_string(), "free some room or give another --out")
    } else {
        (error.to_string(), "give another --out")
    };
    Failure::failed(format!(
        "the enriched plan cannot be written to {}: {what}; {way_out}",
        shown(place.target())
    ))
}
