"""The same cases for other tools: run in an environment of its own (bench/quality/__main__.py makes it), it knows nothing of this project.

    python peers.py TOOL < CASES.jsonl > PREDICTIONS.jsonl

A tool gets what it can take: mail is given as the text of its best part by the standard library, HTML as html2text has it where a tool reads
plain text only.
"""

from __future__ import annotations

import email
import json
import sys
from collections.abc import Callable
from email import policy
from typing import Any

import html2text

Answer = dict[str, Any]


def plain(kind: str, body: str) -> str:
    if kind == "eml":
        message = email.message_from_bytes(body.encode("utf-8", "surrogateescape"), policy=policy.default)
        part = message.get_body(("plain", "html"))
        body = part.get_content() if part is not None else ""
        kind = "html" if part is not None and part.get_content_subtype() == "html" else "text"
    if kind == "html":
        reader = html2text.HTML2Text(bodywidth=0)
        reader.ignore_images = reader.ignore_emphasis = reader.ignore_links = True
        return reader.handle(body)
    return body.replace("\r\n", "\n")


def quotequail() -> Callable[[str, str], Answer]:
    import quotequail

    def answer(kind: str, body: str) -> Answer:
        if kind == "html":
            shown = "".join(part for mine, part in quotequail.quote_html(body, quote_intro_line=True) if mine)
            full, given = plain("html", shown), quotequail.unwrap_html(body)
        else:
            text = plain(kind, body)
            full = "\n".join(part for mine, part in quotequail.quote(text, quote_intro_line=True) if mine)
            given = quotequail.unwrap(text)
        nested = []
        if given and given.get("type") == "forward":
            inner = given.get("text") or plain("html", given.get("html") or "")
            nested.append({**{k: given.get(k) for k in ("from", "to", "cc", "date", "subject")}, "body": inner})
        return {"reply_text": full, "reply_full": full, "nested": nested}

    return answer


def mail_parser_reply() -> Callable[[str, str], Answer]:
    from mailparser_reply import EmailReplyParser
    from mailparser_reply.constants import MAIL_LANGUAGES

    parser = EmailReplyParser(languages=list(MAIL_LANGUAGES))

    def answer(kind: str, body: str) -> Answer:
        first = parser.read(text=plain(kind, body)).replies[0]
        return {"reply_text": first.body, "reply_full": first.full_body, "signature": first.signatures}

    return answer


def email_reply_parser() -> Callable[[str, str], Answer]:
    from email_reply_parser import EmailReplyParser

    def answer(kind: str, body: str) -> Answer:
        read = EmailReplyParser.read(plain(kind, body))
        full = "\n".join(f.content for f in read.fragments if not f.quoted)
        return {"reply_text": read.reply, "reply_full": full}

    return answer


def talon() -> Callable[[str, str], Answer]:
    import talon as tool
    from talon import quotations
    from talon.signature.bruteforce import extract_signature

    tool.init()

    def answer(kind: str, body: str) -> Answer:
        if kind == "html":
            full = plain("html", quotations.extract_from_html(body))
        else:
            full = quotations.extract_from_plain(plain(kind, body))
        text, signature = extract_signature(full)
        return {"reply_text": text, "reply_full": full, "signature": signature}

    return answer


TOOLS: dict[str, Callable[[], Callable[[str, str], Answer]]] = {
    "quotequail": quotequail,
    "mail-parser-reply": mail_parser_reply,
    "email-reply-parser": email_reply_parser,
    "talon": talon,
}


def main() -> None:
    answer = TOOLS[sys.argv[1]]()
    for line in sys.stdin:
        case = json.loads(line)
        try:
            said = answer(case["input"]["kind"], case["input"]["body"])
        except Exception as error:  # a crash is a result, and scores nothing
            said = {"error": repr(error)}
        print(json.dumps({"id": case["id"], **said}))


if __name__ == "__main__":
    main()
