//! Whether the simulation finds defects that somebody might well introduce.

#[cfg(not(feature = "mutants"))]
pub use without::{catch, switch_on};

#[cfg(not(feature = "mutants"))]
mod without {
    use anyhow::{Result, bail};

    use crate::arguments::Arguments;

    const WITHOUT: &str =
        "this program was built without defects\n  hint: cargo xtask simulate builds it with them";

    /// Switches a defect on.
    pub fn switch_on(_name: Option<&str>) -> Result<()> {
        bail!(WITHOUT)
    }

    /// Runs seeds for each defect until one finds it.
    pub fn catch(_arguments: &Arguments) -> Result<()> {
        bail!(WITHOUT)
    }
}

#[cfg(feature = "mutants")]
pub use with::{catch, switch_on};

#[cfg(feature = "mutants")]
mod with {
    use anyhow::{Result, bail, ensure};
    use wasmill::faults::{KEYED_MUTANTS, MUTANTS, mutate};
    use wasmill_tests::simulation::Subject;
    use wasmill_tests::simulation::hunt::hunt;

    use crate::arguments::Arguments;

    /// A defect that this many seeds do not find is not looked for well enough.
    const MOST_SEEDS: u64 = 2_000;

    /// Switches a defect on, or all off.
    pub fn switch_on(name: Option<&str>) -> Result<()> {
        let all = [MUTANTS, KEYED_MUTANTS].concat();
        if let Some(name) = name.filter(|name| !all.contains(name)) {
            bail!("there is no defect {name:?}; there are {all:?}");
        }
        mutate(name);
        Ok(())
    }

    /// Runs seeds for each defect until one finds it, and then as many without any.
    pub fn catch(arguments: &Arguments) -> Result<()> {
        let wanted = arguments.mutant.as_deref().filter(|name| *name != "all");
        switch_on(wanted)?;
        println!("{:<32} {:>6} {:>9}  found by", "defect", "seeds", "time");
        let mut missed = Vec::new();
        for subject in &arguments.subjects {
            let names = match subject {
                Subject::Unkeyed => MUTANTS,
                Subject::Keyed => KEYED_MUTANTS,
            };
            let names: Vec<&str> =
                names.iter().copied().filter(|name| wanted.is_none_or(|wanted| wanted == *name)).collect();
            if !names.is_empty() {
                missed.extend(catch_in(*subject, &names, arguments)?);
            }
        }
        ensure!(missed.is_empty(), "not found: {missed:?}");
        Ok(())
    }

    /// Those that were not found.
    fn catch_in<'a>(subject: Subject, names: &[&'a str], arguments: &Arguments) -> Result<Vec<&'a str>> {
        let end = arguments.start.saturating_add(arguments.seeds.unwrap_or(MOST_SEEDS));
        let mut missed = Vec::new();
        for name in names {
            switch_on(Some(name))?;
            let hunt = hunt(subject, arguments.start..end, arguments.jobs, false)?;
            let took = format!("{:.2?}", hunt.took);
            match hunt.broken.and_then(|report| Some((report.seed, report.broken?))) {
                Some((seed, broken)) => {
                    let needed = seed - arguments.start + 1;
                    println!("{name:<32} {needed:>6} {took:>9}  {}", broken.promise);
                }
                None => {
                    println!("{name:<32} {:>6} {took:>9}  -", "none");
                    missed.push(*name);
                }
            }
        }
        switch_on(None)?;
        let sound = hunt(subject, arguments.start..end, arguments.jobs, false)?;
        println!("{:<32} {:>6} {:>9}  -", "none", sound.ran, format!("{:.2?}", sound.took));
        if let Some(report) = sound.broken {
            bail!("without any defect a promise is broken\n{}", report.story());
        }
        Ok(missed)
    }
}
