"""Messages for people: a few events a line each, and how many more there were.

Names come from users. They stand where a chat neither formats them nor calls anybody by them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from slurmwatchd.config.units import spoken_duration
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.sinks.forms.form import WrittenEvent
from slurmwatchd.sinks.webhook.options import Chat

_NAME_WIDTH = 40


def message(named: Sequence[WrittenEvent], *, more: int, chat: Chat) -> bytes:
    """Return what is posted to a chat's incoming webhook.

    Args:
        named: The events that have a line each.
        more: How many there are besides.
        chat: Which chat.
    """
    texts = [_line(event.fields) for event in named]
    if more:
        texts.append(f"and {more} more")
    if chat == "teams":
        return orjson.dumps(_card(texts))
    # In a block of code nothing is formatted, and no one is called.
    text = "\n".join(texts).replace("`", "'")
    if chat == "slack":
        # Slack reads these everywhere.
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return orjson.dumps({"text": f"```\n{text}\n```"})


def _card(texts: Sequence[str]) -> dict[str, Any]:
    """Return an Adaptive Card: its text runs, unlike its text blocks, are not read as Markdown."""
    runs = [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]} for text in texts]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": runs,
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _line(fields: Mapping[str, Any]) -> str:
    """Write what an event reports: `tux 12 FAILED exit 2 ann gpu after 3h02m: train`."""
    parts = [fields["cluster"], fields["job_id"], fields["state"]]
    if fields.get("exit_code"):
        parts.append(f"exit {fields['exit_code']}")
    parts += [fields[name] for name in ("user", "partition") if fields.get(name)]
    if fields.get("start") is not None and "elapsed_seconds" in fields:
        parts.append(f"after {spoken_duration(fields['elapsed_seconds'])}")
    if fields["event"] != "job_ended":
        parts.append(f"({fields['event'].removeprefix('job_')} {fields['revision']})")
    name = f": {shown(fields['name'], _NAME_WIDTH)}" if fields.get("name") else ""
    return " ".join(shown(str(part), _NAME_WIDTH) for part in parts) + name
