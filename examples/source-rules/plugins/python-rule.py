"""Card payments over a limit become alerts."""

from wasmill import Output, config, log


def handle(event):
    payment = event.json()
    limit = config.get("limit")
    amount = payment["amount"]
    if amount <= limit:
        return None
    log.info("over the limit", payment=payment["tx_id"])
    alert = {"payment": payment["tx_id"], "over_by": round(amount - limit, 2)}
    return Output.json(config.get("output"), alert)
