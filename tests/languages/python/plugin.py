"""Does what every language must: see the README.md of the folder above."""

import os

from wasmill import About, Output, Refused, Reject, Retry, clock, config, log, lookup, random, state, timers

OUT = "conformance.out"

about = About(
    name="conformance",
    version="1.2.3",
    summary="Does what every language must",
    subjects=["conformance.in.>"],
    emits=["conformance.out.>"],
)

counted = 0


def handle(event):
    token = event.subject.rpartition(".")[2]
    does = TOKENS.get(token)
    if does is None:
        raise Reject(f"unknown token {token}")
    return does(event)


def on_timer(timer):
    headers = {"x-name": timer.name, "x-key": timer.key, "x-due": str(timer.due_ns), "x-now": str(clock.now())}
    return Output(f"{OUT}.timer", answers(timer.text()), headers=headers)


def migrate(version, name, value):
    if name == "drop":
        return state.DROP
    if name == "bad":
        raise ValueError(f"bad of {version}")
    return version.encode() + b":" + value


def echo(event):
    headers = [
        ("x-id", event.id),
        ("x-source", event.source),
        ("x-type", event.type),
        ("x-subject", event.subject),
        ("x-time", str(event.time_ns)),
    ]
    if event.key is not None:
        headers.append(("x-key", event.key))
    headers.append(("x-attempt", str(event.attempt)))
    if event.reply_to is not None:
        headers.append(("x-reply-to", event.reply_to))
    headers += [(f"x-h-{name}", value) for name, value in event.headers]
    return Output(OUT, event.data, type=event.type, headers=headers)


def plain(event):
    return Output(OUT, "plain")


def transform(event):
    tags = event.field("tags", list)
    return Output.json(
        OUT,
        {
            "id": event.field("id", str),
            "doubled": event.field("amount", float) * 2,
            "name": event.field("name", str),
            "tags": tags[::-1],
            "count": len(tags),
        },
    )


def many(event):
    for i in range(event.field("count", int)):
        yield Output(f"{OUT}.{i}", str(i))


def retry(event):
    raise Retry("not yet: ü", after_ms=1_500)


def retry_default(event):
    raise Retry("whenever")


def reject(event):
    raise Reject("never: ü")


def explode(event):
    raise ValueError("boom")


def trap(event):
    os.abort()


def loop(event):
    while True:
        pass


def hog(event):
    kept = []
    while True:
        kept.append(b"x" * (1 << 20))


def deep(event):
    return 1 + deep(event)


def table(event):
    missing = config.get("missing")
    headers = {"x-limit": str(config.get("limit")), "x-missing": "none" if missing is None else str(missing)}
    return Output.json(OUT, config.load(), headers=headers)


def lines(event):
    levels = [log.trace, log.debug, log.info, log.warn, log.error]
    for n, line in enumerate(levels, start=1):
        line("line ü", n=n, lang="python")


def write(event):
    print("printed ü")


def now(event):
    return Output(OUT, str(clock.now()))


def draw(event):
    return Output(OUT, f"{random.next():016x} {random.next():016x} {random.bytes(8).hex()}")


def count(event):
    global counted
    counted += 1
    return Output(OUT, str(counted))


def swap(event):
    before = state.get("raw")
    state.set("raw", event.data)
    return Output(OUT, before or b"", headers={"x-before": "no" if before is None else "yes"})


def script(event):
    return Output(OUT, answers(event.text()))


def answers(text):
    return b"\n".join([obey(line) for line in text.split("\n")]) if text else b""


def obey(line):
    command, _, rest = line.partition(" ")
    if command not in COMMANDS:
        raise Reject(f"unknown command {command}")
    count, does = COMMANDS[command]
    words = rest.split(" ", count - 1)
    try:
        return does(*words, *[""] * (count - len(words)))
    except Refused as err:
        return f"error {err.kind}{'' if err.limit is None else f' {err.limit}'}".encode()


def value(found):
    return b"none" if found is None else b"value " + found


def done(_):
    return b"ok"


COMMANDS = {
    "get": (1, lambda name: value(state.get(name))),
    "set": (2, lambda name, data: done(state.set(name, data))),
    "delete": (1, lambda name: done(state.delete(name))),
    "names": (1, lambda prefix: " ".join(["names", *state.names(prefix)]).encode()),
    "at": (3, lambda name, due, data: done(timers.set(name, int(due), data))),
    "after": (3, lambda name, wait, data: done(timers.after(name, int(wait), data))),
    "cancel": (1, lambda name: done(timers.cancel(name))),
    "lookup": (2, lambda table, key: value(lookup.get(table, key))),
    "fail": (1, lambda _: reject(None)),
    "count": (2, lambda name, n: value(b"%d" % state.Counter(name).add(int(n)))),
    "push": (3, lambda name, most, item: value(b"%d" % state.List(name, int(most)).append(item))),
    "put": (3, lambda name, key, item: done(state.Map(name).__setitem__(key, item))),
    "add": (2, lambda name, member: value(b"new" if state.Set(name).add(member) else b"known")),
}

TOKENS = {
    "echo": echo,
    "plain": plain,
    "transform": transform,
    "many": many,
    "none": lambda event: None,
    "retry": retry,
    "retry-default": retry_default,
    "reject": reject,
    "raise": explode,
    "trap": trap,
    "loop": loop,
    "hog": hog,
    "deep": deep,
    "config": table,
    "log": lines,
    "print": write,
    "clock": now,
    "random": draw,
    "count": count,
    "script": script,
    "swap": swap,
}
