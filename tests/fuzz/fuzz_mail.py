"""Coverage-guided fuzzing of everything that reads bytes or text of a sender: `pip install atheris`, then

    python tests/fuzz/fuzz_mail.py TARGET [CORPUS_FOLDER...] [-max_total_time=600] [-timeout=5]

TARGET is mail, text, html, head, stated or packed. The rest are libFuzzer's own arguments; a folder of real mail is a good corpus. What it finds
becomes a test beside the module at fault, cut down to the few bytes that matter. tests/unit/test_promises.py runs the same promises on
what Hypothesis makes up, so that they can't rot.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["mailloom.mail", "mailloom.schema"]):
    import promises


def main() -> None:
    target = promises.TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
