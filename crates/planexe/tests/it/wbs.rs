//! The work breakdown structure from the tree, and from the lists when there is no tree.

use planexe::view::View;
use planexe::views::wbs::{Wbs, wbs};

use crate::support::{notes, plan};

const TREE: &str = r#"{"wbs_project": {"id": "root", "description": "Tram", "extra_fields": {"final_deliverable": "A line"}, "task_children": [
    {"id": "a", "description": "Plan it", "task_children": [
        {"id": "a1", "description": "Survey", "task_children": [
            {"id": "a1x", "description": "Measure", "extra_fields": {"detailed_description": "With a tape.", "resources_needed": ["Surveyor", "Tape"]}}]},
        {"id": "a2", "description": "Permit"}]},
    {"id": "b", "description": "Build it", "task_children": []}]}}"#;
const LEVEL1: (&str, &str) = (
    "wbs_level1.json",
    r#"{"id": "root", "project_title": "Tram", "final_deliverable": "A line"}"#,
);
const LEVEL2: (&str, &str) = (
    "wbs_level2.json",
    r#"[{"id": "a", "major_phase_title": "Plan it", "subtasks": [{"id": "a1", "description": "Survey"}, {"id": "a2", "description": "Permit"}]},
        {"id": "b", "major_phase_title": "Build it", "subtasks": []}]"#,
);
const LEVEL3: (&str, &str) = (
    "wbs_level3.json",
    r#"[{"id": "a1x", "name": "Measure", "description": "With a tape.", "resources_needed": ["Surveyor", "Tape"], "parent_id": "a1"}]"#,
);

/// One line a task: `number level id parent name`.
fn lines(view: &View<Wbs>) -> Vec<String> {
    let line = |task: &planexe::views::wbs::WbsTask| {
        format!(
            "{} {} {} {} {}",
            task.number,
            task.level,
            task.id,
            task.parent.as_deref().unwrap_or("-"),
            task.name
        )
    };
    view.value.tasks.iter().map(line).collect()
}

const EXPECTED: [&str; 5] = [
    "1 1 a - Plan it",
    "1.1 2 a1 a Survey",
    "1.1.1 3 a1x a1 Measure",
    "1.2 2 a2 a Permit",
    "2 1 b - Build it",
];

#[test]
fn the_tree_is_read_in_document_order() {
    let view = wbs(&plan(&[
        ("023-3-wbs_project_level1_and_level2_and_level3.json", TREE),
        LEVEL1,
        LEVEL2,
        LEVEL3,
    ]));
    assert_eq!(lines(&view), EXPECTED);
    let measure = view.value.task("a1x").unwrap();
    assert_eq!(
        (
            measure.description.as_deref(),
            measure.resources.len(),
            measure.order
        ),
        (Some("With a tape."), 2, 2)
    );
    assert_eq!(
        measure.pointer,
        "/wbs_project/task_children/0/task_children/0/task_children/0"
    );
    assert_eq!(
        (
            view.value.title.as_deref(),
            view.value.final_deliverable.as_deref(),
            view.value.root.as_deref()
        ),
        (Some("Tram"), Some("A line"), Some("root"))
    );
    assert_eq!(
        view.value
            .children("a")
            .map(|task| task.id.as_str())
            .collect::<Vec<_>>(),
        ["a1", "a2"]
    );
    assert!(view.skipped.is_empty(), "{:?}", view.skipped);
}

#[test]
fn without_the_tree_the_lists_give_the_same() {
    for broken in [None, Some("{\"wbs_project\": {\"id\""), Some("")] {
        let mut files = vec![LEVEL1, LEVEL2, LEVEL3];
        files.extend(
            broken.map(|content| ("wbs_project_level1_and_level2_and_level3.json", content)),
        );
        let view = wbs(&plan(&files));
        assert_eq!(lines(&view), EXPECTED);
        assert_eq!(
            view.value
                .tasks
                .iter()
                .map(|task| task.order)
                .collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
        assert_eq!(view.source.as_deref(), Some("wbs_level2.json"));
        assert_eq!(
            view.skipped.len(),
            usize::from(broken.is_some()),
            "a broken tree is said"
        );
    }
}

#[test]
fn the_tree_of_two_levels_is_the_last_resort() {
    let two = r#"{"wbs_project": {"id": "root", "description": "Tram", "task_children": [{"id": "a", "description": "Plan it"}]}}"#;
    let view = wbs(&plan(&[("019-wbs_project_level1_and_level2.json", two)]));
    assert_eq!(lines(&view), ["1 1 a - Plan it"]);
    assert_eq!(view.value.title.as_deref(), Some("Tram"));
}

#[test]
fn what_cannot_be_placed_is_said() {
    let tree = r#"{"wbs_project": {"id": "root", "task_children": [7, {"id": "a"}, {"id": "b", "description": "B", "task_children": {"x": 1}},
        {"id": "b", "description": "B again"}, {"id": "c", "description": "C"}]}}"#;
    let view = wbs(&plan(&[(
        "wbs_project_level1_and_level2_and_level3.json",
        tree,
    )]));
    assert_eq!(lines(&view), ["1 1 b - B", "2 1 c - C"]);
    let told = notes(&view).join("\n");
    for part in [
        "task_children/0: not an object",
        "task_children/1: a task without id or name",
        "task_children/2/task_children: not a list",
        "task_children/3: the id b stands twice; passed over with the 0 tasks below it",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let orphan = wbs(&plan(&[
        LEVEL1,
        LEVEL2,
        (
            "wbs_level3.json",
            r#"[{"id": "z", "name": "Lost", "parent_id": "nowhere"}]"#,
        ),
    ]));
    assert_eq!(
        notes(&orphan),
        ["wbs_level3.json /0: its parent nowhere is in no list"]
    );
}

#[test]
fn a_node_that_stands_twice_does_not_take_its_children_along() {
    let tree = r#"{"wbs_project": {"id": "root", "task_children": [{"id": "a", "description": "A"},
        {"id": "a", "description": "A again", "task_children": [{"id": "x", "description": "X"}]}]}}"#;
    let view = wbs(&plan(&[(
        "wbs_project_level1_and_level2_and_level3.json",
        tree,
    )]));
    assert_eq!(
        lines(&view),
        ["1 1 a - A"],
        "numbers and parents stay unambiguous"
    );
    assert!(
        view.skipped[0]
            .reason
            .ends_with("with the 1 tasks below it"),
        "{:?}",
        view.skipped
    );
}

#[test]
fn a_bottomless_tree_ends() {
    let mut tree = String::new();
    for depth in 0..40 {
        tree.push_str(&format!(
            "{{\"id\": \"{depth}\", \"description\": \"d\", \"task_children\": ["
        ));
    }
    tree.push_str(&"]}".repeat(40));
    let view = wbs(&plan(&[(
        "wbs_project_level1_and_level2_and_level3.json",
        &format!("{{\"wbs_project\": {tree}}}"),
    )]));
    assert_eq!(view.value.tasks.len(), 12);
    assert!(
        view.skipped[0].reason.contains("deeper"),
        "{:?}",
        view.skipped
    );
}
