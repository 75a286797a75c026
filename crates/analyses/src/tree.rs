//! The work breakdown structure as a tree of positions.

use std::collections::BTreeMap;

use planexe::views::wbs::WbsTask;

/// Who is part of whom, by position.
pub struct Tree<'t> {
    /// Where the task of an id stands.
    pub position: BTreeMap<&'t str, usize>,
    /// The task that each is a part of.
    pub parent: Vec<Option<usize>>,
    /// The parts of each task.
    pub children: Vec<Vec<usize>>,
}

impl<'t> Tree<'t> {
    /// The tree of the tasks of a work breakdown structure.
    pub fn of(tasks: &'t [WbsTask]) -> Self {
        // Of two tasks with one id the first is meant.
        let position: BTreeMap<&str, usize> = tasks
            .iter()
            .enumerate()
            .rev()
            .map(|(i, task)| (task.id.as_str(), i))
            .collect();
        // A parent stands on a lower level: so the tree has no cycle, whatever a file says.
        let above = |i: usize, p: &usize| tasks[*p].level < tasks[i].level;
        let parent: Vec<Option<usize>> = tasks
            .iter()
            .enumerate()
            .map(|(i, task)| {
                task.parent
                    .as_deref()
                    .and_then(|p| position.get(p).copied())
                    .filter(|p| above(i, p))
            })
            .collect();
        let mut children = vec![Vec::new(); tasks.len()];
        for (i, parent) in parent.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(i);
            }
        }
        Self {
            position,
            parent,
            children,
        }
    }

    /// The task and all that it is a part of.
    pub fn line(&self, task: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(task), |&i| self.parent[i])
    }

    /// The activities that a task stands for: itself, the one it is a part of, or those that are parts of it.
    pub fn stands_for(&self, task: usize, position: &BTreeMap<usize, usize>) -> Vec<usize> {
        if let Some(at) = self.line(task).find_map(|i| position.get(&i)) {
            return vec![*at];
        }
        let (mut found, mut open) = (Vec::new(), vec![task]);
        while let Some(i) = open.pop() {
            match position.get(&i) {
                Some(at) => found.push(*at),
                None => open.extend(&self.children[i]),
            }
        }
        found.sort_unstable();
        found
    }
}
