//! Tools' names as providers take them: letters, digits, `_` and `-`, at most 64.

use std::collections::BTreeMap;

use domain::agent::asking::ToolSpec;

/// The longest name that providers take.
const NAME_MAX: usize = 64;

/// Both ways between our names and theirs. Names that fit stay as they are.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Theirs by ours.
    there: BTreeMap<String, String>,
    /// Ours by theirs.
    here: BTreeMap<String, String>,
}

impl Names {
    pub(crate) fn of(tools: &[ToolSpec]) -> Self {
        let mut names = Self::default();
        for tool in tools.iter().filter(|tool| !fits(&tool.name)) {
            let plain: String = tool.name.chars().map(plain).take(NAME_MAX - 4).collect();
            let free = |name: &String| {
                !names.here.contains_key(name) && tools.iter().all(|tool| tool.name != *name)
            };
            let theirs = std::iter::once(plain.clone())
                .chain((2..).map(|number| format!("{plain}_{number}")))
                .find(free)
                .unwrap_or(plain);
            names.here.insert(theirs.clone(), tool.name.clone());
            names.there.insert(tool.name.clone(), theirs);
        }
        names
    }

    pub(crate) fn there<'a>(&'a self, ours: &'a str) -> &'a str {
        self.there.get(ours).map_or(ours, String::as_str)
    }

    pub(crate) fn here(&self, theirs: &str) -> String {
        let ours = self.here.get(theirs).map_or(theirs, String::as_str);
        ours.to_owned()
    }
}

fn fits(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(|c| plain(c) == c)
}

/// A character that every provider takes. Ids of calls have the same.
pub(crate) fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
        c
    } else {
        '_'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_do_not_fit_get_others_and_come_back() {
        let spec = |name: &str| ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            input_schema: serde_json::Value::Null,
            read_only: false,
        };
        let long = "x".repeat(70);
        let tools = [
            "plain-name_1",
            "files/read",
            "files.read",
            "files_read_2",
            &long,
        ]
        .map(spec);
        let names = Names::of(&tools);
        let theirs: Vec<&str> = tools.iter().map(|tool| names.there(&tool.name)).collect();
        let mut distinct = theirs.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), tools.len(), "{theirs:?}");
        for (tool, name) in tools.iter().zip(&theirs) {
            assert!(fits(name), "{name}");
            assert_eq!(names.here(name), tool.name);
        }
        assert_eq!(theirs[..2], ["plain-name_1", "files_read"]);
        assert_eq!(names.here("unheard_of"), "unheard_of");
    }
}
