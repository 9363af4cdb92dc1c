"""Realistic mail traffic, made up, with the truth about it beside it.

`generate` is pure: the same number, seed and Shape give the same bytes in every process. `write` puts mails and truth into
files. The names, sentences and addresses are this package's own; every domain lies under example.org, .com or .net.
"""

from mailloom.synth.shape import DEFAULT, Shape, ShapeError, shape_of
from mailloom.synth.stream import generate
from mailloom.synth.truth import Inner, Mail, Truth
from mailloom.synth.write import Counts, Form, synth, write

__all__ = [
    "DEFAULT",
    "Counts",
    "Form",
    "Inner",
    "Mail",
    "Shape",
    "ShapeError",
    "Truth",
    "generate",
    "shape_of",
    "synth",
    "write",
]
