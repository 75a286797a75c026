//! The work breakdown structure: phases (level 1), their tasks (level 2), the tasks' parts (level 3).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::plan::Plan;
use crate::read::{self, Reader};
use crate::view::View;

/// The tree, flattened in document order. The root (the project) is not among the tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wbs {
    /// The root's id.
    pub root: Option<String>,
    /// The project's title.
    pub title: Option<String>,
    /// What the project is to deliver in the end.
    pub final_deliverable: Option<String>,
    /// All tasks, parents before children, siblings in the plan's order.
    pub tasks: Vec<WbsTask>,
}

/// A node of the tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WbsTask {
    /// A UUID as PlanExe writes it; any text is taken. No two tasks share one.
    pub id: String,
    /// The parent's id; `None` for level 1.
    pub parent: Option<String>,
    /// 1 for a phase, 2 for its tasks, 3 for their parts, more where the tree is deeper.
    pub level: u32,
    /// The number in the tree: `2.3` is the third child of the second phase.
    pub number: String,
    /// In a few words.
    pub name: String,
    /// In full, where the plan says more than the name.
    pub description: Option<String>,
    /// Who and what is needed, in the plan's words.
    pub resources: Vec<String>,
    /// Place in the document, from 0.
    pub order: usize,
    /// Where it stands in the artifact named by the view's source; a level 3 put together from the lists: in `wbs_level3.json`.
    pub pointer: String,
}

impl Wbs {
    /// The task with this id.
    pub fn task(&self, id: &str) -> Option<&WbsTask> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// The tasks of a level, in document order.
    pub fn at_level(&self, level: u32) -> impl Iterator<Item = &WbsTask> {
        self.tasks.iter().filter(move |task| task.level == level)
    }

    /// A task's children, in document order.
    pub fn children<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a WbsTask> {
        self.tasks
            .iter()
            .filter(move |task| task.parent.as_deref() == Some(id))
    }
}

const TREE: &str = "wbs_project_level1_and_level2_and_level3.json";
const SMALL_TREE: &str = "wbs_project_level1_and_level2.json";
const LEVELS: [&str; 3] = ["wbs_level1.json", "wbs_level2.json", "wbs_level3.json"];
const TITLE: &str = "wbs_level1_project_title.json";

/// Nodes deeper than this are passed over: PlanExe writes three levels.
const DEPTH_MAX: u32 = 12;

/// The WBS of the whole tree, else of the three level lists, else of the tree of two levels.
pub fn wbs(plan: &Plan) -> View<Wbs> {
    let mut view = read::first(plan, &[TREE], tree);
    if view.value.tasks.is_empty() {
        take_if_more(&mut view, from_levels(plan));
    }
    if view.value.tasks.is_empty() {
        take_if_more(&mut view, read::first(plan, &[SMALL_TREE], tree));
    }
    if view.value.title.is_none() {
        view.value.title = title(plan);
    }
    view
}

/// The project's title: of `wbs_level1.json`, of the plain text in `wbs_level1_project_title.json`, or of the tree's root.
pub fn title(plan: &Plan) -> Option<String> {
    let level1 = || {
        plan.json(LEVELS[0])
            .ok()?
            .get("project_title")
            .and_then(read::plain)
    };
    let plain_text = || {
        let text = plan.text(TITLE).ok()?;
        let text = read::json(text)
            .ok()
            .and_then(|value| read::plain(&value))
            .unwrap_or_else(|| text.trim().to_owned());
        Some(text).filter(|text| !text.is_empty() && text.len() <= 500)
    };
    let root = |name: &str| {
        plan.json(name)
            .ok()?
            .pointer("/wbs_project/description")
            .and_then(read::plain)
    };
    level1()
        .or_else(plain_text)
        .or_else(|| root(TREE))
        .or_else(|| root(SMALL_TREE))
}

fn take_if_more(view: &mut View<Wbs>, mut other: View<Wbs>) {
    view.skipped.append(&mut other.skipped);
    if !other.value.tasks.is_empty() || view.source.is_none() {
        view.value = other.value;
        view.source = other.source;
    }
}

/// What a walk over the nodes has to remember.
struct Walk<'r> {
    reader: &'r mut Reader,
    seen: BTreeSet<String>,
    tasks: Vec<WbsTask>,
}

fn tree(value: &Value, reader: &mut Reader) -> Wbs {
    let Some(whole) = reader.root(value) else {
        return Wbs::default();
    };
    let (at, root) = match whole.get("wbs_project").and_then(Value::as_object) {
        Some(root) => ("/wbs_project", root),
        None => ("", whole),
    };
    if !root.contains_key("task_children") {
        reader.skip(format!("{at}/task_children"), "no tasks");
    }
    let extra = reader.object(root, at, "extra_fields");
    let final_deliverable = extra
        .and_then(|extra| reader.text(extra, &format!("{at}/extra_fields"), "final_deliverable"));
    let (id, title) = (
        reader.text(root, at, "id"),
        reader.text_of(root, at, &["description", "project_title", "name"]),
    );
    let mut walk = Walk {
        reader,
        seen: id.iter().cloned().collect(),
        tasks: Vec::new(),
    };
    walk.children(root, at, None, "", 1);
    Wbs {
        root: id,
        title,
        final_deliverable,
        tasks: walk.tasks,
    }
}

impl Walk<'_> {
    fn children(
        &mut self,
        node: &Map<String, Value>,
        at: &str,
        parent: Option<&str>,
        number: &str,
        level: u32,
    ) {
        let Some(children) = node
            .get("task_children")
            .filter(|children| !children.is_null())
        else {
            return;
        };
        let at = format!("{at}/task_children");
        let Some(children) = children.as_array() else {
            return self.reader.skip(at, "not a list");
        };
        if level > DEPTH_MAX && !children.is_empty() {
            return self
                .reader
                .skip(at, format!("deeper than {DEPTH_MAX} levels"));
        }
        let mut place = 0;
        for (index, child) in children.iter().enumerate() {
            let pointer = format!("{at}/{index}");
            let Some(child) = child.as_object() else {
                self.reader.skip(pointer, "not an object");
                continue;
            };
            let (Some(id), Some(name)) = (
                self.reader.required(child, &pointer, "id"),
                self.reader
                    .text_of(child, &pointer, &["description", "name"]),
            ) else {
                self.reader.skip(pointer, "a task without id or name");
                continue;
            };
            if !self.seen.insert(id.clone()) {
                let below = count(child);
                self.reader.skip(
                    pointer,
                    format!(
                        "the id {id} stands twice; passed over with the {below} tasks below it"
                    ),
                );
                continue;
            }
            place += 1;
            let number = if number.is_empty() {
                place.to_string()
            } else {
                format!("{number}.{place}")
            };
            let parent = parent.map(str::to_owned);
            self.push(
                child,
                WbsTask {
                    id: id.clone(),
                    parent,
                    level,
                    number: number.clone(),
                    name,
                    pointer: pointer.clone(),
                    ..WbsTask::default()
                },
            );
            self.children(child, &pointer, Some(&id), &number, level + 1);
        }
    }

    fn push(&mut self, node: &Map<String, Value>, mut task: WbsTask) {
        if let Some(extra) = self.reader.object(node, &task.pointer, "extra_fields") {
            let at = format!("{}/extra_fields", task.pointer);
            task.description =
                self.reader
                    .text_of(extra, &at, &["detailed_description", "description"]);
            task.resources = self.reader.texts(extra, &at, "resources_needed");
        }
        task.order = self.tasks.len();
        self.tasks.push(task);
    }
}

/// How many nodes stand below one.
fn count(node: &Map<String, Value>) -> usize {
    let children = node
        .get("task_children")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    children
        .filter_map(Value::as_object)
        .map(|child| 1 + count(child))
        .sum()
}

/// The tree put together from the lists of the three levels.
fn from_levels(plan: &Plan) -> View<Wbs> {
    let mut view = read::first(plan, &LEVELS[..1], |value, reader| {
        match reader.root(value) {
            Some(root) => Wbs {
                root: reader.text(root, "", "id"),
                title: reader.text(root, "", "project_title"),
                final_deliverable: reader.text(root, "", "final_deliverable"),
                tasks: Vec::new(),
            },
            None => Wbs::default(),
        }
    });
    let mut parts = read::first(plan, &LEVELS[2..], level3);
    let mut phases = read::first(plan, &LEVELS[1..2], |value, reader| {
        level2(value, reader, &mut parts.value)
    });
    for (parent, orphans) in &parts.value {
        for task in orphans {
            parts.skipped.push(crate::view::Skipped::new(
                LEVELS[2],
                task.pointer.clone(),
                format!("its parent {parent} is in no list"),
            ));
        }
    }
    view.value.tasks.append(&mut phases.value);
    view.source = phases.source.or(view.source);
    view.skipped.append(&mut phases.skipped);
    view.skipped.append(&mut parts.skipped);
    view
}

/// Level 3 by parent, numbered later.
fn level3(value: &Value, reader: &mut Reader) -> BTreeMap<String, Vec<WbsTask>> {
    let mut by_parent: BTreeMap<String, Vec<WbsTask>> = BTreeMap::new();
    for (pointer, row) in reader.objects(value, &["wbs_level3", "tasks"]) {
        let (Some(id), Some(parent)) = (
            reader.required(row, &pointer, "id"),
            reader.required(row, &pointer, "parent_id"),
        ) else {
            continue;
        };
        let Some(name) = reader.required(row, &pointer, "name") else {
            continue;
        };
        let task = WbsTask {
            id,
            parent: Some(parent.clone()),
            level: 3,
            name,
            description: reader.text(row, &pointer, "description"),
            resources: reader.texts(row, &pointer, "resources_needed"),
            pointer,
            ..WbsTask::default()
        };
        by_parent.entry(parent).or_default().push(task);
    }
    by_parent
}

/// Levels 1 and 2 with what of level 3 belongs to them, in document order.
fn level2(
    value: &Value,
    reader: &mut Reader,
    parts: &mut BTreeMap<String, Vec<WbsTask>>,
) -> Vec<WbsTask> {
    let mut tasks = Vec::new();
    for (pointer, row) in reader.objects(value, &["wbs_level2", "phases"]) {
        let number = (tasks
            .iter()
            .filter(|task: &&WbsTask| task.level == 1)
            .count()
            + 1)
        .to_string();
        let name = reader.required(row, &pointer, "major_phase_title");
        if let (Some(id), Some(name)) = (reader.required(row, &pointer, "id"), name) {
            let subtasks = subtasks(row, &pointer, (&id, &number), reader, parts);
            tasks.push(WbsTask {
                id,
                level: 1,
                number,
                name,
                pointer,
                ..WbsTask::default()
            });
            tasks.extend(subtasks);
        }
    }
    let mut seen = BTreeSet::new();
    tasks.retain(|task| {
        let new = seen.insert(task.id.clone());
        if !new {
            reader.skip(
                task.pointer.clone(),
                format!("the id {} stands twice", task.id),
            );
        }
        new
    });
    for (order, task) in tasks.iter_mut().enumerate() {
        task.order = order;
    }
    tasks
}

fn subtasks(
    phase: &Map<String, Value>,
    at: &str,
    (parent, number): (&str, &str),
    reader: &mut Reader,
    parts: &mut BTreeMap<String, Vec<WbsTask>>,
) -> Vec<WbsTask> {
    let mut tasks = Vec::new();
    let mut place = 0;
    for (pointer, row) in reader.objects_under(phase, at, "subtasks") {
        let name = reader.required(row, &pointer, "description");
        let (Some(id), Some(name)) = (reader.required(row, &pointer, "id"), name) else {
            continue;
        };
        place += 1;
        let number = format!("{number}.{place}");
        let below = parts.remove(&id).unwrap_or_default();
        let parent = Some(parent.to_owned());
        tasks.push(WbsTask {
            id,
            parent,
            level: 2,
            number: number.clone(),
            name,
            pointer,
            ..WbsTask::default()
        });
        for (index, mut part) in below.into_iter().enumerate() {
            part.number = format!("{number}.{}", index + 1);
            tasks.push(part);
        }
    }
    tasks
}
