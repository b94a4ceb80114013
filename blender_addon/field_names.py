"""What the backend says of its command line's options, said of the fields of the user interface."""

from __future__ import annotations

import re

from .generate_settings import choices
from .translations import tr

# An option, with the placeholder of its value, such as --point X,Y@FRAME
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: [A-Z][A-Z0-9,@=]*(?![a-z]))?")
_SAME = {"start": "start_s", "duration": "duration_s", "box": "point"}


def in_fields(text: str) -> str:
    """`text` with the names of fields in the place of options that there is a field for."""
    labels = {name: choice.keywords["name"] for name, choice in choices(set()).items()}

    def field(match: re.Match[str]) -> str:
        name = match[1].replace("-", "_")
        label = labels.get(_SAME.get(name, name))
        return f"\u201c{tr(label)}\u201d" if label else match[0]

    named = _OPTION.sub(field, text)
    return re.sub("(\u201c[^\u201d]+\u201d) or \\1", r"\1", named)  # a point or a box: one field
