//! What a PlanExe plan is: named bytes in, a plan with typed views out.
