//! The books against a simulated machine: threads that run share the cores evenly, as the system's scheduler has it.

use super::*;

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
/// One step of the simulation, in nanoseconds.
const STEP: u64 = 50 * US;
/// How often what a long call uses is written down.
const LOOK: u64 = 10 * MS;

#[derive(Clone, Copy)]
struct Plugin {
    weight: u32,
    threads: usize,
    /// The CPU time of one turn.
    turn: u64,
    /// The time between two turns of a thread that are asked for.
    pause: u64,
    /// When it begins to want anything.
    from: u64,
}

/// A plugin of the default weight that is never out of work.
fn busy(threads: usize, turn: u64) -> Plugin {
    Plugin { weight: DEFAULT_WEIGHT, threads, turn, pause: 0, from: 0 }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Asks again at this time.
    Idle(u64),
    Waiting,
    Running {
        began: u64,
        left: u64,
        unwritten: u64,
    },
}

struct Machine {
    cores: usize,
    now: u64,
    ledger: Ledger<(usize, usize)>,
    plugins: Vec<(Plugin, Id, Vec<State>)>,
    used: Vec<u64>,
    waited: Vec<u64>,
    most_running: usize,
}

impl Machine {
    fn new(cores: usize, plugins: &[Plugin]) -> Self {
        let mut ledger = Ledger::new(cores);
        let open = |plugin: &Plugin| (*plugin, ledger.open(), vec![State::Idle(plugin.from); plugin.threads]);
        let plugins: Vec<_> = plugins.iter().map(open).collect();
        let none = vec![0; plugins.len()];
        Self { cores, now: 0, ledger, used: none.clone(), waited: none, most_running: 0, plugins }
    }

    fn start(&mut self, (plugin, thread): (usize, usize)) {
        let left = self.plugins[plugin].0.turn;
        self.plugins[plugin].2[thread] = State::Running { began: self.now, left, unwritten: 0 };
    }

    fn admit(&mut self) {
        for who in self.ledger.admit(self.now) {
            self.start(who);
        }
    }

    fn ask(&mut self, who: (usize, usize)) {
        let id = self.plugins[who.0].1;
        match self.ledger.ask(id, self.now) {
            Answer::Start { .. } => self.start(who),
            Answer::Wait => {
                self.ledger.wait(id, who);
                self.plugins[who.0].2[who.1] = State::Waiting;
            }
        }
    }

    fn step(&mut self) {
        let all: Vec<(usize, usize)> = (0..self.plugins.len())
            .flat_map(|plugin| (0..self.plugins[plugin].2.len()).map(move |thread| (plugin, thread)))
            .collect();
        // Not always the same one first.
        let first = (self.now / STEP) as usize % all.len();
        let turned: Vec<_> = all[first..].iter().chain(&all[..first]).copied().collect();
        for (plugin, thread) in &turned {
            if matches!(self.plugins[*plugin].2[*thread], State::Idle(until) if until <= self.now) {
                self.ask((*plugin, *thread));
            }
        }
        if self.now.is_multiple_of(MS) {
            self.admit();
        }
        let state = |(plugin, thread): &(usize, usize)| self.plugins[*plugin].2[*thread];
        let running: Vec<_> =
            turned.iter().filter(|who| matches!(state(who), State::Running { .. })).copied().collect();
        self.most_running = self.most_running.max(running.len());
        for (plugin, thread) in &turned {
            if self.plugins[*plugin].2[*thread] == State::Waiting {
                self.waited[*plugin] += STEP;
            }
        }
        let gets = STEP * self.cores as u64 / (running.len().max(self.cores)) as u64;
        for who in running {
            self.run(who, gets);
        }
        self.now += STEP;
    }

    fn run(&mut self, who: (usize, usize), gets: u64) {
        let (plugin, id, states) = &mut self.plugins[who.0];
        let State::Running { began, left, unwritten } = &mut states[who.1] else { unreachable!() };
        let gets = gets.min(*left);
        *left -= gets;
        *unwritten += gets;
        self.used[who.0] += gets;
        let over = *left == 0;
        if over || *unwritten >= LOOK {
            self.ledger.charge(*id, weighted(*unwritten, plugin.weight), weighted(1_000 * MS, plugin.weight));
            *unwritten = 0;
        }
        if over {
            let ran = self.now + STEP - *began;
            self.ledger.end(*id, self.now + STEP, ran);
            states[who.1] = State::Idle(self.now + STEP + plugin.pause);
            self.admit();
        }
    }

    /// Runs until a time and tells what each plugin used since, in cores.
    fn until(&mut self, end: u64) -> Vec<f64> {
        let (from, before) = (self.now, self.used.clone());
        while self.now < end {
            self.step();
        }
        let lasted = (self.now - from) as f64;
        self.used.iter().zip(before).map(|(used, before)| (used - before) as f64 / lasted).collect()
    }
}

fn assert_near(got: &[f64], wanted: &[f64]) {
    let near = got.iter().zip(wanted).all(|(got, wanted)| (got - wanted).abs() <= 0.08 * wanted.max(0.5));
    assert!(near && got.len() == wanted.len(), "{got:?} is not about {wanted:?}");
}

#[test]
fn the_cores_are_shared_by_weight_whatever_the_length_of_calls() {
    let long = 100 * MS;
    for (turns, threads) in
        [([150 * US, 150 * US], 2), ([long, long], 2), ([150 * US, long], 2), ([long, 150 * US], 64)]
    {
        let heavy = Plugin { weight: 300, ..busy(threads, turns[0]) };
        let mut machine = Machine::new(2, &[heavy, busy(threads, turns[1])]);
        assert_near(&machine.until(4_000 * MS), &[1.5, 0.5]);
    }
}

#[test]
fn sixty_four_threads_are_one_plugin() {
    let mut machine = Machine::new(2, &[busy(64, 100 * MS), busy(1, 150 * US), busy(2, MS)]);
    assert_near(&machine.until(4_000 * MS), &[0.67, 0.67, 0.67]);
    assert!(machine.most_running <= 5, "{}", machine.most_running);
}

#[test]
fn a_core_that_others_leave_is_used() {
    // One thread cannot use what it is worth.
    let mut machine = Machine::new(2, &[Plugin { weight: 10_000, ..busy(1, MS) }, busy(64, 100 * MS)]);
    assert_near(&machine.until(4_000 * MS), &[1.0, 1.0]);
    let mut alone = Machine::new(2, &[busy(3, MS)]);
    assert_near(&alone.until(1_000 * MS), &[2.0]);
}

#[test]
fn who_has_little_to_do_neither_waits_nor_keeps_others_waiting() {
    let light = Plugin { pause: MS, ..busy(1, 50 * US) };
    let mut plugins = vec![busy(64, 100 * MS)];
    plugins.extend([light; 8]);
    let mut machine = Machine::new(2, &plugins);
    let used = machine.until(10_000 * MS);
    assert!(used.iter().sum::<f64>() > 1.9, "the cores are in use: {used:?}");
    assert_eq!(machine.waited[1..], [0; 8]);
}

#[test]
fn idleness_is_neither_punished_nor_rewarded() {
    // What the first did while it was alone is not held against it, and the second has not saved anything up.
    let late = |from: u64, turn: u64| Plugin { from, ..busy(2, turn) };
    let mut machine = Machine::new(2, &[busy(2, 10 * MS), late(10_000 * MS, MS)]);
    assert_near(&machine.until(10_000 * MS), &[2.0, 0.0]);
    assert_near(&machine.until(11_000 * MS), &[1.0, 1.0]);
    // What the second did on a core that nobody else could use is not held against it for long.
    let narrow = Plugin { weight: 10_000, ..busy(1, MS) };
    let mut machine = Machine::new(2, &[narrow, busy(2, 10 * MS), late(60_000 * MS, 10 * MS)]);
    machine.until(62_000 * MS);
    assert_near(&machine.until(70_000 * MS), &[1.0, 0.5, 0.5]);
}

#[test]
fn all_have_their_turn() {
    let mut plugins: Vec<Plugin> = (0..20).map(|_| busy(3, 100 * MS)).collect();
    plugins.push(Plugin { weight: 1, ..busy(1, 100 * MS) });
    let mut machine = Machine::new(2, &plugins);
    machine.until(30_000 * MS);
    let (least, most) = machine.used[..20].iter().fold((u64::MAX, 0), |(l, m), u| (l.min(*u), m.max(*u)));
    assert!(least * 10 > most * 9, "{:?}", machine.used);
    assert!(machine.used[20] > 0);
}

#[test]
fn accounts_are_used_again() {
    let mut ledger: Ledger<()> = Ledger::new(1);
    let (one, other) = (ledger.open(), ledger.open());
    assert_eq!(ledger.ask(one, 0), Answer::Start { alone: true });
    ledger.charge(one, weighted(MS, 1), u128::MAX);
    assert_eq!(ledger.ask(one, 0), Answer::Wait, "one core, one thread");
    ledger.wait(one, ());
    assert_eq!(ledger.ask(other, 0), Answer::Start { alone: false });
    ledger.close(one);
    assert_eq!((ledger.waiting(), ledger.open()), (0, one));
    assert!(ledger.is_alone(other, 0));
}
