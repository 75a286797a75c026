//! Zips in and out.

use std::fs;

use crate::plan::{AGENTS, Files, assert_whole, enrichments, files, sample, sample_path, zipped};
use crate::shell::Shell;

#[test]
fn zips_of_each_shape_give_what_the_directory_gives() {
    let shell = Shell::new();
    let originals = files(&sample());
    fs::write(shell.at("flat.zip"), zipped(&originals, "")).unwrap();
    let mut noisy: Files = originals
        .iter()
        .map(|(path, bytes)| (format!("solveig/{path}"), bytes.clone()))
        .collect();
    noisy.insert(
        "__MACOSX/solveig/._018-2-wbs_level1.json".to_owned(),
        vec![0; 100],
    );
    noisy.insert("solveig/.DS_Store".to_owned(), vec![0; 100]);
    fs::write(shell.at("folded.zip"), zipped(&noisy, "")).unwrap();
    let directory = shell.json(&["enrich", sample_path(), "--json", "--out", "directory"]);
    for name in ["flat", "folded"] {
        let outcome = shell.json(&["enrich", &format!("{name}.zip"), "--json"]);
        assert_eq!(outcome["planHash"], directory["planHash"], "{name}");
        assert_eq!(outcome["plan"], name);
        let found = files(&shell.at(format!("{name}.enriched")));
        assert_whole(&found, &originals, &AGENTS);
        assert_eq!(
            enrichments(&found),
            enrichments(&files(&shell.at("directory")))
        );
    }
}

#[test]
fn the_output_can_be_a_zip_that_is_again_a_plan() {
    let shell = Shell::new();
    let first = shell.json(&["enrich", sample_path(), "--json", "--out", "enriched.zip"]);
    let bytes = fs::read(shell.at("enriched.zip")).unwrap();
    let found = unzipped(&bytes);
    assert_whole(&found, &files(&sample()), &AGENTS);
    // Its own output is the one zip that may be replaced.
    let second = shell.json(&["enrich", "enriched.zip", "--json", "--out", "enriched.zip"]);
    assert_eq!(first["planHash"], second["planHash"]);
    assert_eq!(shell.names(), ["enriched.zip"]);
}

fn unzipped(bytes: &[u8]) -> Files {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut found = Files::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        found.insert(entry.name().to_owned(), content);
    }
    found
}
