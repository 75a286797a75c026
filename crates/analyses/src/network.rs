//! A network of activities: which must end before which may start, freed of its cycles.

use std::collections::{BTreeSet, VecDeque};

/// An acyclic finish-to-start network over activities `0..len`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Of each activity, those that must end before it starts; ascending, without repetition.
    pub predecessors: Vec<Vec<usize>>,
    /// Of each activity, those that wait for it; ascending, without repetition.
    pub successors: Vec<Vec<usize>>,
    /// All activities, each after its predecessors; of those that are free the smallest first.
    pub order: Vec<usize>,
}

/// What became of the stated edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untangled {
    /// The network of the edges that lie in no cycle.
    pub network: Network,
    /// Groups of activities that wait for each other (strongly connected components of two or more), ascending.
    pub cycles: Vec<Vec<usize>>,
    /// Positions in the given list of the edges left out because both ends lie in one such group.
    pub left_out: Vec<usize>,
}

/// Makes a network of `len` activities from edges `(before, after)`.
///
/// Edges from an activity to itself and edges naming an activity beyond `len` are ignored: the caller has reported them.
pub fn untangle(len: usize, edges: &[(usize, usize)]) -> Untangled {
    let valid = |&(a, b): &(usize, usize)| a < len && b < len && a != b;
    let all: Vec<(usize, usize)> = edges.iter().copied().filter(valid).collect();
    let group = components(len, &all);
    let mut members = vec![Vec::new(); len];
    for (activity, &leader) in group.iter().enumerate() {
        members[leader].push(activity);
    }
    let mut cycles: Vec<Vec<usize>> = members
        .into_iter()
        .filter(|group| group.len() > 1)
        .collect();
    cycles.sort();
    let in_cycle = |&(a, b): &(usize, usize)| group[a] == group[b];
    let left_out = (0..edges.len())
        .filter(|&i| valid(&edges[i]) && in_cycle(&edges[i]))
        .collect();
    let kept: Vec<(usize, usize)> = all.into_iter().filter(|edge| !in_cycle(edge)).collect();
    Untangled {
        network: acyclic(len, &kept),
        cycles,
        left_out,
    }
}

fn neighbours(len: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut lists = vec![BTreeSet::new(); len];
    for (from, to) in edges {
        lists[from].insert(to);
    }
    lists
        .into_iter()
        .map(|list| list.into_iter().collect())
        .collect()
}

/// The network of edges that are known to form no cycle, ordered by Kahn's method.
fn acyclic(len: usize, edges: &[(usize, usize)]) -> Network {
    let successors = neighbours(len, edges.iter().copied());
    let predecessors = neighbours(len, edges.iter().map(|&(a, b)| (b, a)));
    let mut waiting: Vec<usize> = predecessors.iter().map(Vec::len).collect();
    let mut free: BTreeSet<usize> = (0..len).filter(|&i| waiting[i] == 0).collect();
    let mut order = Vec::with_capacity(len);
    while let Some(next) = free.pop_first() {
        order.push(next);
        for &after in &successors[next] {
            waiting[after] -= 1;
            if waiting[after] == 0 {
                free.insert(after);
            }
        }
    }
    Network {
        predecessors,
        successors,
        order,
    }
}

/// The strongly connected component of each activity, named by one of its members (Kosaraju and Sharir: a walk in the
/// reverse graph, by descending time of finishing a walk in the graph).
fn components(len: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let forward = neighbours(len, edges.iter().copied());
    let backward = neighbours(len, edges.iter().map(|&(a, b)| (b, a)));
    let mut component = vec![usize::MAX; len];
    for &leader in finishing_order(&forward).iter().rev() {
        let mut found = VecDeque::from([leader]);
        while let Some(activity) = found.pop_front() {
            if component[activity] == usize::MAX {
                component[activity] = leader;
                found.extend(backward[activity].iter().copied());
            }
        }
    }
    component
}

/// All activities by the time at which a depth-first walk is done with them. Without recursion: depth is the plan's choice.
fn finishing_order(forward: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; forward.len()];
    let mut finished = Vec::with_capacity(forward.len());
    for root in 0..forward.len() {
        let mut path = if std::mem::replace(&mut seen[root], true) {
            vec![]
        } else {
            vec![(root, 0)]
        };
        while let Some((activity, next)) = path.last_mut() {
            if let Some(&child) = forward[*activity].get(*next) {
                *next += 1;
                if !std::mem::replace(&mut seen[child], true) {
                    path.push((child, 0));
                }
            } else {
                finished.push(*activity);
                path.pop();
            }
        }
    }
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acyclic_network_is_ordered_with_each_activity_after_its_predecessors() {
        let made = untangle(4, &[(3, 0), (0, 1), (0, 1), (2, 1)]);
        assert_eq!(made.network.order, [2, 3, 0, 1]);
        assert_eq!(
            made.network.predecessors,
            [vec![3], vec![0, 2], vec![], vec![]]
        );
        assert!(made.cycles.is_empty() && made.left_out.is_empty());
    }

    #[test]
    fn activities_that_wait_for_each_other_are_named_and_their_edges_left_out() {
        // 0 -> 1 -> 2 -> 0 is a cycle; 2 -> 3 leads out of it; 4 <-> 5 is another.
        let made = untangle(6, &[(0, 1), (1, 2), (2, 0), (2, 3), (4, 5), (5, 4)]);
        assert_eq!(made.cycles, [vec![0, 1, 2], vec![4, 5]]);
        assert_eq!(made.left_out, [0, 1, 2, 4, 5]);
        assert_eq!(made.network.predecessors[3], [2]);
        assert_eq!(made.network.order.len(), 6);
    }

    #[test]
    fn an_edge_to_itself_or_to_nowhere_is_no_edge() {
        let made = untangle(2, &[(0, 0), (0, 7), (9, 9)]);
        assert!(made.network.successors.iter().all(Vec::is_empty));
        assert!(made.cycles.is_empty() && made.left_out.is_empty());
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_needs_no_deep_stack() {
        let edges: Vec<(usize, usize)> = (1..100_000).map(|i| (i - 1, i)).collect();
        assert_eq!(
            untangle(100_000, &edges).network.order.last(),
            Some(&99_999)
        );
    }
}
