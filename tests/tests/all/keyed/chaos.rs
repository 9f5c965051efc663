//! Short runs under fire; `cargo xtask chaos --scenario keyed` and `timers` do the same for longer.

use crate::chaos::is_valid;

#[test]
fn engines_that_compete_for_keys_may_be_killed_and_frozen() {
    is_valid("--scenario keyed --events 2000 --keys 200 --kills 4 --seed 6");
}
