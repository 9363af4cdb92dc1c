"""How near the text of HTML mail comes to what a browser shows of it: words and lines in common with Chromium's innerText.

    python bench/browser.py FOLDER... [--mails 200] [--seed 1] [--worst 5]

Draws HTML parts at random from folders of mail. Scripts, pictures and the network are switched off. Bullets, link targets and
pictures' descriptions, which Mailloom writes and a browser does not, are left out of both sides. Needs `chromium` on the path.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from mailloom.mail.parts.mime import scan
from mailloom.mail.text.html import text_of
from mailloom.sources import Item, load, walk

PAGE = """<!doctype html><meta charset=utf-8><meta http-equiv="Content-Security-Policy" content="default-src 'none';
style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-src 'self'"><body><script>
const mails = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob("%s"), c => c.charCodeAt(0))));
(async () => {
  const shown = [];
  for (const mail of mails) {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-same-origin";
    frame.style.width = "900px";
    const loaded = new Promise(done => { frame.onload = done; setTimeout(done, 1500); });
    frame.srcdoc = mail;
    document.body.append(frame);
    await loaded;
    shown.push(frame.contentDocument.body.innerText);
    frame.remove();
  }
  let bytes = "";
  for (const byte of new TextEncoder().encode(JSON.stringify(shown))) bytes += String.fromCharCode(byte);
  document.body.innerHTML = "<pre id=shown>" + btoa(bytes) + "</pre>";
})();
</script>"""
BATCH = 40
MAX_PART = 150_000
"""Characters of a part: a larger one would make the page slow, and not tell more."""


def shown(mails: list[str]) -> list[str]:
    """What the browser shows of each."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE % base64.b64encode(json.dumps(mails).encode()).decode(), encoding="utf-8")
        command = [
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
            "--virtual-time-budget=60000", f"--user-data-dir={folder}/profile", "--dump-dom", page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    found = re.search(r'<pre id="shown">([^<]*)</pre>', done.stdout)
    if not found:
        raise SystemExit("the browser gave no answer")
    return list(json.loads(base64.b64decode(found[1])))


def bare(text: str) -> str:
    text = re.sub(r" ?<[^<>\s]+>| ?\[[^\]\n]{0,200}\]|_{3,}|[\xad\u200b\ufeff]", "", text)
    return re.sub(r"(?m)^\s*(?:- |\w{1,5}\. )", "", text)


def common(one: list[str], other: list[str]) -> float:
    """F1 of two bags."""
    both = sum((Counter(one) & Counter(other)).values())
    return 2 * both / (len(one) + len(other)) if one or other else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--mails", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worst", type=int, default=5)
    given = parser.parse_args()
    parts: list[tuple[str, str]] = []
    for folder in given.folders:
        for found in walk(folder):
            if isinstance(found, Item) and isinstance(mail := load(found), Item):
                mime = scan(mail.raw)
                parts += [(mail.origin.path, mime.text(p.index)) for p in mime.parts if p.type == "text/html"]
    parts = [part for part in parts if part[1].strip() and len(part[1]) < MAX_PART]
    drawn = random.Random(given.seed).sample(parts, min(given.mails, len(parts)))
    rows: list[tuple[float, float, str]] = []
    for first in range(0, len(drawn), BATCH):
        batch = drawn[first : first + BATCH]
        for (name, html), seen in zip(batch, shown([html for _, html in batch]), strict=True):
            ours, theirs = bare(text_of(html).text), bare(seen)
            words = common(re.findall(r"\w+", ours), re.findall(r"\w+", theirs))
            lines = [[" ".join(x.split()) for x in side.split("\n") if x.strip()] for side in (ours, theirs)]
            rows.append((words, common(*lines), name))
    rows.sort()
    count = len(rows)
    print(
        f"{count} parts: words F1 {sum(r[0] for r in rows) / count:.4f}, lines F1 {sum(r[1] for r in rows) / count:.4f}"
    )
    for words, alike, name in rows[: given.worst]:
        print(f"  words {words:.3f} lines {alike:.3f} {name}")


if __name__ == "__main__":
    main()
