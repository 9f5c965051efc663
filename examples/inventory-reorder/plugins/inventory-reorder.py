"""Reorders what runs low, once, and tells when the delivery does not come."""

from datetime import timedelta

from wasmill import Output, Reject, config, state, timers

stock = state.Counter("stock")
ordered = state.Value("ordered")


def handle(event):
    quantity = event.field("quantity", int)
    kind = event.field("kind", str)
    if kind == "counted":
        stock.set(quantity)
    elif kind == "received":
        stock.add(quantity)
        ordered.delete()
        timers.cancel("late")
    elif kind == "sold":
        stock.add(-quantity)
    else:
        raise Reject(f"kind: {kind!r} is none of counted, received and sold")
    return reorder(event.key)


def reorder(item):
    left = stock.get()
    if left > config.need("reorder_at", int) or ordered.get() is not None:
        return None
    # What is missing to a full shelf, and as much more as customers wait for.
    order = {"item": item, "quantity": config.need("fill_to", int) - left, "left": left}
    ordered.set(order["quantity"])
    timers.after("late", timedelta(days=config.need("lead_days", int)), str(order["quantity"]))
    return Output.json(f"purchases.order.{item}", order)


def on_timer(timer):
    late = {"item": timer.key, "quantity": int(timer.text()), "left": stock.get()}
    return Output.json(f"purchases.late.{timer.key}", late)
