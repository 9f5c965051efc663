"""Does what every language must: see the README.md of the folder above."""

import os

from wasmill import About, Output, Reject, Retry, clock, config, log, random

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
}
