//! What a plugin with a key has: state, timers, lookup tables, and fields of older versions.

use wasmill::event::Event;

use super::{Case, Step, TIME_NS, Wanted, WantedOutput, event_with};
use crate::languages::rows::Can;
use crate::languages::turn::{Field, KEY, LIMITS, Turn};

const MS: u64 = 1_000_000;

/// A field that holds text.
fn field(name: &'static str, value: &str) -> Field {
    (name, value.as_bytes().to_vec())
}

fn script(lines: &[&str]) -> Event {
    event_with("script", lines.join("\n"))
}

fn answers(lines: &[&str]) -> Wanted {
    Wanted::Outputs(vec![WantedOutput::of(lines.join("\n"))])
}

/// A turn of one script, each line of which has its answer.
fn exchange(lines: &[(&str, &str)]) -> Turn {
    let (commands, told): (Vec<_>, Vec<_>) = lines.iter().copied().unzip();
    Turn::new().event(script(&commands), answers(&told))
}

/// Where there is no key, there is neither state nor a timer; tables are there all the same.
pub(super) fn no_key(_: Case<'_>) -> Vec<Step> {
    let lines =
        ["get a", "set a b", "delete a", "names ", "at t 1 x", "after t 1 x", "cancel t", "lookup rows k"];
    let told = ["error no-key"; 7].into_iter().chain(["value row"]).collect::<Vec<_>>();
    vec![Step::new(script(&lines)).wants(answers(&told)), Step::new(script(&[])).wants(answers(&[]))]
}

pub(super) fn state(_: Case<'_>) -> Vec<Step> {
    let first = exchange(&[
        ("get a", "none"),
        ("names ", "names"),
        ("set a 1 2  3", "ok"),
        ("get a", "value 1 2  3"),
        ("set a", "ok"),
        ("get a", "value "),
        ("set b/ü grüße 🦀", "ok"),
        ("set b/x y", "ok"),
        ("delete none", "ok"),
    ]);
    let second = exchange(&[
        ("names ", "names a b/x b/ü"),
        ("names b/", "names b/x b/ü"),
        ("names c", "names"),
        ("get b/ü", "value grüße 🦀"),
        ("delete a", "ok"),
        ("get a", "none"),
        ("set b/x z", "ok"),
    ]);
    let left = || vec![field("b/x", "z"), field("b/ü", "grüße 🦀")];
    vec![
        Step::Turn(first.leaves(vec![field("a", ""), field("b/x", "y"), field("b/ü", "grüße 🦀")])),
        Step::Turn(second.leaves(left())),
        Step::Turn(Turn::new().event(script(&[]), answers(&[])).leaves(left())),
    ]
}

/// Any bytes, none, and as many as fit.
pub(super) fn state_bytes(_: Case<'_>) -> Vec<Step> {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let large = all.repeat(800);
    let swap = |before: Option<&[u8]>, data: &[u8]| {
        let output = WantedOutput::of(before.unwrap_or_default());
        let output = output.header("x-before", if before.is_some() { "yes" } else { "no" });
        Turn::new()
            .event(event_with("swap", data), Wanted::Outputs(vec![output]))
            .leaves(vec![("raw", data.to_vec())])
    };
    vec![
        Step::Turn(swap(None, &all)),
        Step::Turn(swap(Some(&all), b"")),
        Step::Turn(swap(Some(b""), &large)),
        Step::Turn(swap(Some(&large), b"\0")),
    ]
}

/// What is refused has a name, changes nothing, and does not end the call.
pub(super) fn state_limits(_: Case<'_>) -> Vec<Step> {
    let longest = "n".repeat(256);
    let too_long = "n".repeat(257);
    let too_large = "x".repeat(LIMITS.record_bytes);
    let size = format!("error too-large {}", LIMITS.record_bytes);
    let turn = exchange(&[
        ("get ", "error bad-name"),
        ("set  x", "error bad-name"),
        ("delete ", "error bad-name"),
        (&format!("get {too_long}"), "error bad-name"),
        (&format!("set {too_long} x"), "error bad-name"),
        (&format!("set {longest} x"), "ok"),
        (&format!("delete {longest}"), "ok"),
        ("set a 1", "ok"),
        (&format!("set a {too_large}"), &size),
        (&format!("set b {too_large}"), &size),
        ("get a", "value 1"),
        ("names ", "names a"),
    ]);
    vec![Step::Turn(turn.leaves(vec![field("a", "1")]))]
}

/// A call that fails changes nothing; what came before it stays, and what comes after it is not tried.
pub(super) fn state_undone(_: Case<'_>) -> Vec<Step> {
    let never = || Wanted::Rejected("never: ü".to_owned());
    let mut turn = exchange(&[("set a 1", "ok"), ("after keeps 5000 x", "ok")]);
    turn = turn
        .event(script(&["set a 2", "delete a", "set b 1", "after t 1 x", "cancel keeps", "fail"]), never());
    let left =
        |turn: Turn| turn.leaves(vec![field("a", "1")]).leaves_set(vec![("keeps", TIME_NS + 5_000 * MS)]);
    let unknown = Wanted::Rejected("unknown command nonsense".to_owned());
    vec![
        Step::Turn(left(turn)),
        Step::Turn(left(Turn::new().event(script(&["set a 3", "nonsense a b"]), unknown))),
        Step::Turn(left(exchange(&[("get a", "value 1"), ("get b", "none")]))),
    ]
}

/// Events of one batch find what those before them left.
pub(super) fn batch(_: Case<'_>) -> Vec<Step> {
    let mut turn = Turn::new();
    for n in 1..=20_u32 {
        let before = if n == 1 { "none".to_owned() } else { format!("value {}", n - 1) };
        turn = turn.event(script(&["get n", &format!("set n {n}")]), answers(&[&before, "ok"]));
    }
    vec![Step::Turn(turn.leaves(vec![field("n", "20")]))]
}

pub(super) fn counter(_: Case<'_>) -> Vec<Step> {
    let turn = exchange(&[
        ("count n 2", "value 2"),
        ("count n -5", "value -3"),
        ("get n", "value -3"),
        ("set m 41", "ok"),
        ("count m 1", "value 42"),
        ("count big 9007199254740991", "value 9007199254740991"),
    ]);
    let again = exchange(&[("count n 10", "value 7")]);
    let fields = |n| vec![field("big", "9007199254740991"), field("m", "42"), field("n", n)];
    vec![Step::Turn(turn.leaves(fields("-3"))), Step::Turn(again.leaves(fields("7")))]
}

/// Fields with a type are stored the same way by every language that has them.
pub(super) fn typed_fields(case: Case<'_>) -> Vec<Step> {
    if !case.row.can(Can::TypedFields) {
        // What it has instead.
        return counter(case);
    }
    let turn = exchange(&[
        ("push l 2 a", "value 1"),
        ("push l 2 b \"c\"", "value 2"),
        ("push l 2 grüße 🦀", "value 2"),
        ("put m k v", "ok"),
        ("put m ü/x ", "ok"),
        ("add s x y", "value new"),
        ("add s x y", "value known"),
    ]);
    vec![Step::Turn(turn.leaves(vec![
        field("l", r#"["b \"c\"","grüße 🦀"]"#),
        field("m/k", "\"v\""),
        field("m/ü/x", "\"\""),
        field("s/x y", "true"),
    ]))]
}

/// What the timers handler makes of a timer.
fn fired(name: &str, due: u64, told: &[&str]) -> Wanted {
    let output = WantedOutput::of(told.join("\n")).to("conformance.out.timer".to_owned());
    let due = due.to_string();
    let output =
        output.header("x-name", name).header("x-key", KEY).header("x-due", &due).header("x-now", &due);
    Wanted::Outputs(vec![output])
}

fn at(time_ns: u64, event: Event) -> Event {
    Event { time_ns, ..event }
}

pub(super) fn timers(_: Case<'_>) -> Vec<Step> {
    let t = TIME_NS;
    let set = exchange(&[
        (&format!("at b {} set x by b", t + 20), "ok"),
        (&format!("at a {} get x", t + 20), "ok"),
        (&format!("at first {} ", t + 10), "ok"),
        (&format!("at moved {t} x"), "ok"),
        (&format!("at moved {} names ", t + 30), "ok"),
        (&format!("at gone {} x", t + 1), "ok"),
        ("cancel gone", "ok"),
        ("cancel never-set", "ok"),
        ("after ü 7 after ü 1 ", "ok"),
        (&format!("at last {} x", u64::MAX), "ok"),
        ("at  1 x", "error bad-name"),
        ("cancel ", "error bad-name"),
    ]);
    let all = vec![
        ("a", t + 20),
        ("b", t + 20),
        ("first", t + 10),
        ("last", u64::MAX),
        ("moved", t + 30),
        ("ü", t + 7 * MS),
    ];
    // Those that are due come before the event: by their time, and of one time as they were set.
    let mut fire = Turn::new().step(fired("first", t + 10, &[]));
    fire = fire.step(fired("b", t + 20, &["ok"])).step(fired("a", t + 20, &["value by b"]));
    let fire = fire.event(at(t + 29, script(&["get x"])), answers(&["value by b"]));
    let fire = fire.leaves_set(vec![("last", u64::MAX), ("moved", t + 30), ("ü", t + 7 * MS)]);
    // When nothing comes, they fire all the same; one that sets itself again fires again.
    let idle = Turn::new().due_by(t + 8 * MS).step(fired("moved", t + 30, &["names x"]));
    let idle = idle.step(fired("ü", t + 7 * MS, &["ok"])).step(fired("ü", t + 8 * MS, &[]));
    vec![
        Step::Turn(set.leaves_set(all)),
        Step::Turn(fire),
        Step::Turn(idle.leaves(vec![field("x", "by b")]).leaves_set(vec![("last", u64::MAX)])),
    ]
}

/// A timer that fails changes nothing and is still set.
pub(super) fn timer_fails(_: Case<'_>) -> Vec<Step> {
    let set = exchange(&[("set a 1", "ok"), ("after bad 1 fail", "ok")]);
    let due = TIME_NS + MS;
    let fails = Turn::new().due_by(due).step(Wanted::Rejected("never: ü".to_owned()));
    vec![Step::Turn(set), Step::Turn(fails.leaves(vec![field("a", "1")]).leaves_set(vec![("bad", due)]))]
}

pub(super) fn many_timers(_: Case<'_>) -> Vec<Step> {
    let most = LIMITS.timers;
    let commands: Vec<_> = (0..=most).map(|n| format!("at t{n} {} ", u64::MAX)).collect();
    let lines: Vec<_> =
        commands.iter().map(String::as_str).chain(["at t0 7 x", "cancel t1", "at t1000 8 "]).collect();
    let refused = format!("error too-many {most}");
    let mut told = vec!["ok"; most as usize];
    told.extend([refused.as_str(), "ok", "ok", "ok"]);
    vec![Step::Turn(Turn::new().event(script(&lines), answers(&told)))]
}

pub(super) fn lookup(_: Case<'_>) -> Vec<Step> {
    vec![Step::Turn(exchange(&[
        ("lookup rows k", "value row"),
        ("lookup rows grüße 🦀", "value 世界"),
        ("lookup rows empty", "value "),
        ("lookup rows other", "none"),
        ("lookup rows ", "none"),
        ("lookup late k", "error not-ready"),
        ("lookup other k", "error not-granted"),
        ("lookup  k", "error not-granted"),
    ]))]
}

/// What an older version wrote is brought into its present shape, all of it or nothing.
pub(super) fn migrate(_: Case<'_>) -> Vec<Step> {
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let old =
        || vec![("bytes", bytes.clone()), field("drop", "x"), field("empty", ""), field("ü", "grüße 🦀")];
    let new = vec![
        ("bytes", ["0.9.0-ü:".as_bytes(), &bytes].concat()),
        field("empty", "0.9.0-ü:"),
        field("ü", "0.9.0-ü:grüße 🦀"),
    ];
    let turn = Turn::new().written_by("0.9.0-ü", old()).step(Wanted::Outputs(Vec::new()));
    let turn =
        turn.event(script(&["get empty", "names "]), answers(&["value 0.9.0-ü:", "names bytes empty ü"]));
    let broken = || vec![field("a", "1"), field("bad", "x"), field("drop", "x")];
    let fails = Turn::new().written_by("0.8.0", broken()).step(Wanted::Says("bad of 0.8.0"));
    vec![
        Step::Turn(turn.leaves(new)),
        // Nothing is tried of what follows.
        Step::Turn(fails.due_by(TIME_NS).leaves(broken())),
    ]
}
