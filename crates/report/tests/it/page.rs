//! The page: self-contained, escaped, and whole however little there is to show.

use domain::artifact::EnrichmentStatus;
use report::page::html;

use crate::sample::{entry, sample, step, without};

/// Largest page that is still comfortable to send by mail.
const BYTES_MOST: usize = 500_000;

#[test]
fn the_page_shows_every_section_of_a_whole_enrichment() {
    let page = html(&sample());
    // To be looked at by whoever changes the page.
    std::fs::write(
        concat!(env!("CARGO_TARGET_TMPDIR"), "/sample_report.html"),
        &page,
    )
    .unwrap();
    for said in [
        "Electric ferries for Skarvik harbour",
        "Executive summary",
        "The critical chain",
        "Simulated finish, by the stated dependencies",
        "Likelihood and impact",
        "dependency-unknown",
        "fewer expert criticisms",
        "Kelley and Walker",
        "31 December 2028",
        "afterplan 0.1.0",
        "the plan has no suppliers.json",
    ] {
        assert!(page.contains(said), "{said} is not on the page");
    }
    assert!(!page.contains("class=\"absent\""));
    assert!(page.len() < BYTES_MOST, "{} bytes", page.len());
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = html(&sample());
    for foreign in [
        "http://", "https://", "src=", "<script", "@import", "url(", "<link", "<iframe",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("default-src &#39;none&#39;"));
}

#[test]
fn text_of_the_plan_stays_text() {
    let evil = "</style><script>alert(1)</script>\"'&";
    let mut plan = sample();
    plan.name = evil.to_owned();
    plan.summary["title"] = evil.into();
    plan.summary["goal"] = evil.into();
    for entry in &mut plan.enrichments {
        replace_texts(&mut entry.data, evil);
    }
    plan.steps.push(step(evil, evil, "failed", Some(evil)));
    plan.enrichments
        .push(entry("another", evil, r#"{"</p><script>":"<script>"}"#));
    let page = html(&plan);
    assert!(!page.contains("<script"), "a text became markup");
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

/// Replaces every text that is for people by `text`.
fn replace_texts(value: &mut serde_json::Value, text: &str) {
    match value {
        serde_json::Value::String(old) => text.clone_into(old),
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|item| replace_texts(item, text))
        }
        serde_json::Value::Object(object) => object
            .values_mut()
            .for_each(|item| replace_texts(item, text)),
        _ => {}
    }
}

#[test]
fn a_section_without_its_enrichment_says_why() {
    for entry in sample().enrichments {
        let page = html(&without(
            &entry.agent,
            "skipped",
            "missing_input: some_artifact.json",
        ));
        assert!(
            page.contains("ended as skipped: missing_input: some_artifact.json"),
            "{}",
            entry.agent
        );
        assert!(page.contains("Executive summary"));
    }
}

#[test]
fn a_plan_without_any_enrichment_still_has_a_page() {
    let mut plan = sample();
    plan.enrichments.clear();
    plan.steps.clear();
    let page = html(&plan);
    assert!(page.contains("No enrichment stands"));
    assert!(page.contains("was not part of this orchestration"));
}

#[test]
fn outputs_of_any_other_shape_break_nothing() {
    for shape in [
        "null",
        "[]",
        "{}",
        "7",
        "\"text\"",
        r#"{"summary":3,"activities":7,"items":{},"findings":[1,null]}"#,
    ] {
        let mut plan = sample();
        for entry in &mut plan.enrichments {
            entry.data = serde_json::from_str(shape).unwrap();
        }
        let page = html(&plan);
        assert!(page.ends_with("</html>\n"), "{shape}");
        assert!(!page.contains("NaN"), "{shape}");
    }
}

#[test]
fn every_single_value_may_be_missing() {
    for at in 0..sample().enrichments.len() {
        for key in sample().enrichments[at].data.as_object().unwrap().keys() {
            let mut plan = sample();
            plan.enrichments[at].data[key] = serde_json::Value::Null;
            assert!(html(&plan).ends_with("</html>\n"), "{key}");
        }
    }
}

#[test]
fn a_partial_enrichment_is_labelled() {
    let mut plan = sample();
    plan.enrichments[2].status = EnrichmentStatus::Partial;
    plan.enrichments[2].reason = Some("the attempt ran out of time".to_owned());
    assert!(html(&plan).contains("This analysis is partial: the attempt ran out of time."));
}

#[test]
fn an_unknown_agent_is_shown_with_titles_tables_and_lists() {
    let mut plan = sample();
    plan.enrichments.push(entry(
        "supplier-check",
        "Supplier check",
        r#"{"summary":"Two suppliers looked at.","findings":[{"severity":"warning","message":"One is new.","artifact":"a.json"}],
            "suppliers":[{"name":"Volt AS","rating":4.5},{"name":"Quay Ltd","rating":3}],"countries":["NO","DK"],
            "nested":{"deeper":{"value":{"leaf":[{"x":{"y":1}}]}}}}"#,
    ));
    let page = html(&plan);
    for said in [
        "Supplier check</h2>",
        "Two suppliers looked at.",
        "One is new.",
        "<td class=\"num\">4.5</td>",
        "NO, DK",
        "Leaf",
    ] {
        assert!(page.contains(said), "{said} is not on the page");
    }
}

#[test]
fn a_large_unknown_output_is_shortened_and_says_so() {
    let rows: Vec<String> = (0..5_000)
        .map(|n| format!("{{\"name\":\"row {n}\",\"text\":\"{}\"}}", "x".repeat(500)))
        .collect();
    let mut plan = sample();
    plan.enrichments.push(entry(
        "long",
        "Long",
        &format!("{{\"rows\":[{}]}}", rows.join(",")),
    ));
    let page = html(&plan);
    assert!(page.len() < BYTES_MOST);
    assert!(page.contains("Showing 40 of 5000 rows; all of them are in enrichments/long.json."));
}

#[test]
fn a_plan_of_many_activities_says_how_many_are_drawn() {
    let mut plan = sample();
    let data = &mut plan
        .enrichments
        .iter_mut()
        .find(|entry| entry.agent == "critical-path")
        .unwrap()
        .data;
    let first = data["activities"][0].clone();
    data["activities"] = (0..400).map(|_| first.clone()).collect();
    let page = html(&plan);
    assert!(page.contains(
        "Showing 150 of 400 activities; all of them are in enrichments/critical-path.json."
    ));
    assert!(page.len() < BYTES_MOST, "{} bytes", page.len());
}

#[test]
fn a_far_deadline_is_told_rather_than_squeezing_the_bars() {
    let mut plan = sample();
    let data = &mut plan
        .enrichments
        .iter_mut()
        .find(|entry| entry.agent == "schedule-monte-carlo")
        .unwrap()
        .data;
    data["deadline"]["highDays"] = 9_999.0.into();
    data["deadline"]["date"] = serde_json::Value::Null;
    let page = html(&plan);
    assert!(page.contains("The stated deadline, 18 Jun 2054, lies 25.8 years after the last bar."));
}
