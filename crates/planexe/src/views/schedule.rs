//! The schedule that PlanExe drew: `schedule_gantt_machai.csv`.

use jiff::civil::Date;

use super::deadline::dates::slashed;
use crate::plan::{Plan, UnreadableReason};
use crate::view::View;

/// A bar of the chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduleRow {
    /// The WBS task's id.
    pub id: String,
    /// Its name; PlanExe may have put ` (1)` behind it to make it unique.
    pub name: String,
    /// Its description with resources, over many lines.
    pub description: Option<String>,
    /// First day.
    pub start: Option<Date>,
    /// Last day.
    pub end: Option<Date>,
    /// 0 to 100, as stated.
    pub progress: Option<f64>,
    /// The id of the first predecessor (PlanExe's column `project_parent`), NOT the WBS parent.
    pub predecessor: Option<String>,
    /// `line N`, from 1.
    pub pointer: String,
}

const NAME: &str = "schedule_gantt_machai.csv";

/// The rows, in their order. Without the named columns in the first line nothing is read.
pub fn schedule(plan: &Plan) -> View<Vec<ScheduleRow>> {
    let mut view = View::default();
    let text = match plan.text(NAME) {
        Ok(text) => text,
        Err(unreadable) => {
            if unreadable.reason != UnreadableReason::Missing {
                view.skip(NAME, "", unreadable.reason.to_string());
            }
            return view;
        }
    };
    let (records, unclosed) = records(text);
    if let Some(line) = unclosed {
        view.skip(
            NAME,
            format!("line {line}"),
            "a quoted field that never ends",
        );
    }
    let mut records = records.into_iter();
    let Some((_, header)) = records.next() else {
        view.skip(NAME, "", "the artifact is empty");
        return view;
    };
    let Some(columns) = Columns::of(&header) else {
        view.skip(NAME, "line 1", "no columns project_key and project_name");
        return view;
    };
    view.source = Some(NAME.to_owned());
    for (line, fields) in records {
        let row = columns.row(line, &fields, &mut view);
        view.value.extend(row);
    }
    view
}

/// Where each field stands.
struct Columns {
    id: usize,
    name: usize,
    description: Option<usize>,
    start: Option<usize>,
    end: Option<usize>,
    progress: Option<usize>,
    predecessor: Option<usize>,
}

impl Columns {
    fn of(header: &[String]) -> Option<Columns> {
        let column = |name: &str| {
            header
                .iter()
                .position(|field| field.trim().eq_ignore_ascii_case(name))
        };
        Some(Columns {
            id: column("project_key")?,
            name: column("project_name")?,
            description: column("project_description"),
            start: column("project_start_date"),
            end: column("project_end_date"),
            progress: column("project_progress"),
            predecessor: column("project_parent"),
        })
    }

    fn row(
        &self,
        line: usize,
        fields: &[String],
        view: &mut View<Vec<ScheduleRow>>,
    ) -> Option<ScheduleRow> {
        let pointer = format!("line {line}");
        let at = |column: usize| {
            fields
                .get(column)
                .map(|text| text.trim())
                .filter(|text| !text.is_empty())
        };
        let field = |column: Option<usize>| column.and_then(at);
        let Some(id) = at(self.id) else {
            view.skip(NAME, pointer, "a row without project_key");
            return None;
        };
        let mut date = |stated: Option<&str>| {
            let date = stated.and_then(slashed);
            if let (Some(stated), None) = (stated, date) {
                view.skip(NAME, pointer.clone(), format!("\"{stated}\" is no date"));
            }
            date
        };
        Some(ScheduleRow {
            id: id.to_owned(),
            name: at(self.name).unwrap_or_default().to_owned(),
            description: field(self.description).map(str::to_owned),
            start: date(field(self.start)),
            end: date(field(self.end)),
            progress: field(self.progress).and_then(|text| text.parse().ok()),
            predecessor: field(self.predecessor).map(str::to_owned),
            pointer,
        })
    }
}

type Record = (usize, Vec<String>);

/// RFC 4180: the records with the line on which each begins, and the line of a quote that never closes. Blank lines are no records.
fn records(text: &str) -> (Vec<Record>, Option<usize>) {
    let (mut records, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut began, mut quoted) = (1, 1, None);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '\n' {
            line += 1;
        }
        match char {
            '"' if quoted.is_some() && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' if quoted.is_some() => quoted = None,
            '"' if field.is_empty() => quoted = Some(line),
            ',' if quoted.is_none() => fields.push(std::mem::take(&mut field)),
            '\r' if quoted.is_none() && chars.peek() == Some(&'\n') => {}
            '\n' if quoted.is_none() => {
                fields.push(std::mem::take(&mut field));
                close(&mut records, began, &mut fields);
                began = line;
            }
            char => field.push(char),
        }
    }
    fields.push(field);
    close(&mut records, began, &mut fields);
    (records, quoted)
}

fn close(records: &mut Vec<Record>, began: usize, fields: &mut Vec<String>) {
    let fields = std::mem::take(fields);
    if fields.iter().any(|field| !field.trim().is_empty()) {
        records.push((began, fields));
    }
}
