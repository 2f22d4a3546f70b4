#!/usr/bin/env python3
"""Lists the keys of agentgateway's configuration, names only.

Reads agentgateway's schema/config.json from standard input and writes
agentgateway-keys.txt: for every kind of mapping a line with a place where it
stands, then its keys, indented, each with the keys of the mapping below it.
[] is an item of a list, .* an entry of a map.
"""
import json, sys
from collections import deque

schema = json.load(sys.stdin)
defs = schema["$defs"]


def mappings(s, step="", name="", depth=0):
    """Yields (step, name, properties) of what a value may hold."""
    if not isinstance(s, dict) or depth > 12:
        return
    if "$ref" in s:
        target = s["$ref"].split("/")[-1]
        yield from mappings(defs[target], step, name or target, depth + 1)
    if "properties" in s:
        yield step, name, s["properties"]
    for k in ("oneOf", "anyOf", "allOf"):
        for alternative in s.get(k, []):
            yield from mappings(alternative, step, name, depth + 1)
    if "items" in s:
        yield from mappings(s["items"], step + "[]", "", depth + 1)
    if isinstance(s.get("additionalProperties"), dict):
        yield from mappings(s["additionalProperties"], step + ".*", "", depth + 1)


def merged(s):
    """Joins the alternatives that stand at the same step."""
    found = {}
    for step, name, properties in mappings(s):
        _, into = found.setdefault(step, (name, {}))
        for key, value in properties.items():
            into.setdefault(key, {"anyOf": []})["anyOf"].append(value)
    return [(step, name, keys) for step, (name, keys) in found.items()]


seen = set()


def walk(place, s):
    """Prints the mappings at and below a place, the nearest first."""
    queue = deque([(place, s)])
    while queue:
        place, s = queue.popleft()
        for step, name, keys in merged(s):
            kind = (name, tuple(sorted(keys)))
            if kind in seen:
                continue
            seen.add(kind)
            print((place + step) or ".")
            for key, value in sorted(keys.items()):
                below = merged(value)
                if not below:
                    print(f"\t{key}")
                for substep, _, subkeys in below:
                    print(f"\t{key}{substep}: {' '.join(sorted(subkeys))}")
                if place + step:
                    queue.append((place + step + "." + key, value))


walk("", schema)
# What stands in several sections is listed where it is best known.
sections = schema["properties"]
for key in sorted(sections, key=lambda k: (k != "binds", k in ("backends", "gateways", "policies", "routes", "tcpRoutes"), k)):
    walk(key, sections[key])
