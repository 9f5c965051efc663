//! Which kinds of faults a failure needs.

use super::{Fault, Plan, Report, keyed, run_plan};

/// Takes away one kind of fault after the other for as long as the same promise is still broken. Returns what is left, with
/// the report of that run.
///
/// # Errors
/// When no runtime can be had.
pub fn minimal(seed: u64) -> std::io::Result<(Vec<Fault>, Report)> {
    let faults = Plan::from_seed(seed).storm.faults;
    let plan = |faults: &[Fault]| {
        let mut plan = Plan::from_seed(seed);
        plan.storm.faults = faults.to_vec();
        plan
    };
    without(faults, |faults| run_plan(plan(faults)))
}

/// The same for a plugin with a key.
///
/// # Errors
/// As for [`minimal`].
pub fn minimal_keyed(seed: u64) -> std::io::Result<(Vec<keyed::Fault>, Report)> {
    let faults = keyed::Plan::from_seed(seed).storm.faults;
    let plan = |faults: &[keyed::Fault]| {
        let mut plan = keyed::Plan::from_seed(seed);
        plan.storm.faults = faults.to_vec();
        plan
    };
    without(faults, |faults| keyed::run_plan(plan(faults)))
}

fn without<F: Copy + PartialEq>(
    mut faults: Vec<F>,
    run: impl Fn(&[F]) -> std::io::Result<Report>,
) -> std::io::Result<(Vec<F>, Report)> {
    let mut report = run(&faults)?;
    let promise = report.broken.as_ref().map(|broken| broken.promise);
    for fault in faults.clone() {
        let less: Vec<F> = faults.iter().copied().filter(|kept| *kept != fault).collect();
        let other = run(&less)?;
        if promise.is_some() && other.broken.as_ref().map(|broken| broken.promise) == promise {
            (faults, report) = (less, other);
        }
    }
    Ok((faults, report))
}
