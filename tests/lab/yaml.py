# SPDX-License-Identifier: LGPL-2.1-or-later
"""Just enough YAML to write a configuration from Python values, the way a person would write it."""

import json


def _scalar(value):
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (int, float)):
        return str(value)
    return json.dumps(str(value))


def dump(value, indent=0):
    pad = " " * indent
    lines = []
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list, tuple)) and item:
                lines.append(f"{pad}{key}:")
                lines.append(dump(item, indent + 2))
            elif isinstance(item, dict):
                lines.append(f"{pad}{key}: {{}}")
            elif isinstance(item, (list, tuple)):
                lines.append(f"{pad}{key}: []")
            else:
                lines.append(f"{pad}{key}: {_scalar(item)}")
    else:
        for item in value:
            if isinstance(item, dict):
                lines.append(f"{pad}- " + dump(item, indent + 2).lstrip())
            else:
                lines.append(f"{pad}- {_scalar(item)}")
    return "\n".join(lines)
