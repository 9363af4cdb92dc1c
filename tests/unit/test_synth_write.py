"""Where mails and truth end up, and that each line of the truth points at its bytes."""

from __future__ import annotations

import json
import mailbox
import re
from pathlib import Path

import pytest

from mailloom.synth import Mail, Shape, Truth, generate, synth, write

TRUTH = Truth(
    "a@example.org", "a@example.org", None, "a@example.org", "", "", (), None, False, None, "plain", "en", None, ()
)


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_folder(tmp_path: Path) -> None:
    out = tmp_path / "made"
    counts = synth(out, 1010, seed=4, shape=Shape(attachments=0))
    files = sorted((out / "mail").rglob("*.eml"))
    assert len(files) == counts.mails == 1010
    assert {len(list(shard.iterdir())) for shard in (out / "mail").iterdir()} == {1000, 10}
    assert counts.bytes == sum(file.stat().st_size for file in files)
    truth = rows(out / "truth.jsonl")
    mails = list(generate(1010, 4, Shape(attachments=0)))
    assert [row["id"] for row in truth] == [mail.truth.id for mail in mails]
    for row, mail in zip(truth, mails, strict=True):
        raw = (out / "mail" / row["file"]).read_bytes()
        assert raw == mail.raw
        assert (row["start"], row["length"]) == (0, len(raw))
        assert set(row) == {"file", "start", "length", "reply_full", *Truth.__dataclass_fields__}
    assert counts.copies == sum(row["duplicate_of"] is not None for row in truth)
    assert counts.conversations == len({row["thread"] for row in truth})


def test_mbox(tmp_path: Path) -> None:
    out = tmp_path / "made.mbox"
    counts = synth(out, 400, seed=4, form="mbox")
    whole = out.read_bytes()
    truth = rows(tmp_path / "made.mbox.truth.jsonl")
    assert len(truth) == counts.mails == 400
    for row, mail in zip(truth, generate(400, 4), strict=True):
        raw = whole[row["start"] : row["start"] + row["length"]]
        unquoted = re.sub(rb"(?m)^>(>*From )", rb"\1", raw)
        whole_lines = mail.raw.replace(b"\r\n", b"\n")
        assert unquoted == whole_lines + (b"" if whole_lines.endswith(b"\n") else b"\n")
        head = whole[: row["start"]].rpartition(b"\n")[0].rpartition(b"\n")[2]
        assert head.startswith(b"From ")
    box = mailbox.mbox(out, create=False)
    assert len(box) == 400
    box.close()


def test_mboxrd_quotes_every_level(tmp_path: Path) -> None:
    raw = b"Subject: x\n\nFrom here\n>From there\n> From far\nFrom: no\nnot From me\n>>From"
    write(tmp_path / "box", iter([Mail(raw, 0, "a@example.org", TRUTH)] * 2), "mbox")
    written = (tmp_path / "box").read_bytes()
    once = (
        b"From a@example.org Thu Jan  1 00:00:00 1970\nSubject: x\n\n>From here\n>>From there\n> From far\nFrom: no\n"
        b"not From me\n>>From\n\n"
    )
    assert written == once * 2


def test_stream(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    synth(tmp_path / "box", 50, seed=1, form="mbox")
    counts = synth(tmp_path / "stream", 50, seed=1, form="stream")
    assert capsysbinary.readouterr().out == (tmp_path / "box").read_bytes()
    assert counts.truth == str(tmp_path / "stream.truth.jsonl")
    assert [row["id"] for row in rows(tmp_path / "stream.truth.jsonl")] == [
        row["id"] for row in rows(tmp_path / "box.truth.jsonl")
    ]
    assert not (tmp_path / "stream").exists()


def test_stream_without_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: object) -> None:
    monkeypatch.chdir(tmp_path)
    assert synth(Path("-"), 5, seed=1, form="stream").truth == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["eml", "mbox"])
def test_nothing_is_overwritten(tmp_path: Path, form: str) -> None:
    synth(tmp_path / "made", 3, seed=1, form=form)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match=r"there already: name another place, or remove it"):
        synth(tmp_path / "made", 3, seed=2, form=form)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_no_mail_is_no_error(tmp_path: Path) -> None:
    assert synth(tmp_path / "none", 0, seed=1).mails == 0
    assert synth(tmp_path / "none.mbox", 0, seed=1, form="mbox").mails == 0
