//! The three graphs of the standard job.

/// A graph of agents, each with the agents whose results it is given.
pub struct Shape {
    pub name: &'static str,
    /// By step: the steps before it.
    pub needs: &'static [&'static [usize]],
}

const HEAD: &[usize] = &[0];
const EIGHT: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 8];

pub const SHAPES: [Shape; 3] = [
    Shape {
        name: "chain2",
        needs: &[&[], &[0]],
    },
    Shape {
        name: "diamond10",
        needs: &[&[], HEAD, HEAD, HEAD, HEAD, HEAD, HEAD, HEAD, HEAD, EIGHT],
    },
    Shape {
        name: "chain10",
        needs: &[&[], &[0], &[1], &[2], &[3], &[4], &[5], &[6], &[7], &[8]],
    },
];

impl Shape {
    pub fn named(name: &str) -> &'static Shape {
        SHAPES.iter().find(|shape| shape.name == name).unwrap()
    }

    pub fn steps(&self) -> usize {
        self.needs.len()
    }

    /// What an orchestration is about: its plan once, each step's result once.
    pub fn logical_bytes(&self) -> f64 {
        (crate::plans::PLAN_BYTES + self.steps() * crate::stub::ANSWER_BYTES) as f64
    }

    /// The agent of a step.
    pub fn agent(&self, step: usize) -> String {
        format!("{}-{step}", self.name)
    }
}
