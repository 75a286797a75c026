//! Deterministic agents over PlanExe plans: pure functions.
