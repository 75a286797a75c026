"""A server of tools that speaks MCP over its input and output, without libraries: when high water is at a place."""

import datetime
import json
import sys

TOOL = {
    "name": "high_water",
    "description": "When high water is at a place on a day, by its own reckoning of the moon.",
    "inputSchema": {
        "type": "object",
        "required": ["place", "day"],
        "properties": {"place": {"type": "string"}, "day": {"type": "string", "format": "date"}},
    },
    "annotations": {"readOnlyHint": True},
}

# A full moon, and how long a month of the moon is.
FULL_MOON = datetime.datetime(2026, 1, 3, 10, 3)
MONTH = 29.530588


def high_water(place, day):
    noon = datetime.datetime.fromisoformat(day + "T12:00")
    age = (noon - FULL_MOON).total_seconds() / 86_400 % MONTH
    hour = age / MONTH * 24 % 12.42
    return f"High water at {place} on {day} is at about {int(hour):02}:{int(hour % 1 * 60):02}."


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "tides", "version": "1.0.0"},
        }
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        try:
            text, failed = high_water(**params["arguments"]), False
        except (TypeError, ValueError) as error:
            text, failed = str(error), True
        return {"content": [{"type": "text", "text": text}], "isError": failed}
    return {}


for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:  # what has none wants no answer
        result = answer(asked["method"], asked.get("params", {}))
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
