//! Which kinds of faults a failure needs.

use super::plan::{Fault, Plan};
use super::{Report, run_plan};

/// Takes away one kind of fault after the other for as long as the same promise is still broken. Returns what is left, with
/// the report of that run.
///
/// # Errors
/// When no runtime can be had.
pub fn minimal(seed: u64) -> std::io::Result<(Vec<Fault>, Report)> {
    let mut plan = Plan::from_seed(seed);
    let mut report = run_plan(plan.clone())?;
    let promise = report.broken.as_ref().map(|broken| broken.promise);
    for fault in plan.faults.clone() {
        let mut less = plan.clone();
        less.faults.retain(|kept| *kept != fault);
        let other = run_plan(less.clone())?;
        if promise.is_some() && other.broken.as_ref().map(|broken| broken.promise) == promise {
            (plan, report) = (less, other);
        }
    }
    Ok((plan.faults, report))
}
