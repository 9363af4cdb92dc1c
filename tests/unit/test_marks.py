"""What the clients' own HTML says of quotes: each client's way of replying and forwarding, written as it writes it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailloom.mail.cut.segment import cut
from mailloom.mail.model import OWN
from mailloom.mail.text.html import text_of
from mailloom.mail.text.marks import bare_name

OLD = "<div>Could you send the figures?</div><div>Thanks, Ann</div>"
# Heads in a language that no table of phrases knows: only the marks tell.
STRANGE = (
    "<b>Qa:</b> Ann Ames &lt;ann@example.org&gt;<br><b>Zu:</b> 4. 5. 2020 10:11<br>"
    "<b>Oj:</b> Bob &lt;bob@example.com&gt;<br><b>Wex:</b> Figures<br>"
)

REPLIES = {
    "Gmail": (
        '<div dir="ltr">Here they are.</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" '
        'class="gmail_attr">Yy 4. 5. 2020, Ann Ames &lt;<a href="mailto:ann@example.org">ann@example.org</a>&gt; xx:<br></div>'
        f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px #ccc solid">{OLD}</blockquote></div>'
    ),
    "Gmail, in a quote of Outlook on the web": (
        '<div>Here they are.</div><div class="x_gmail_quote"><div class="x_gmail_attr">Yy 4. 5. 2020 xx</div>'
        f'<blockquote class="x_gmail_quote">{OLD}</blockquote></div>'
    ),
    "Outlook for Windows": (
        "<div class=WordSection1><p class=MsoNormal>Here they are.<o:p></o:p></p><div><div style='border:none;border-top:"
        f"solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p class=MsoNormal>{STRANGE}</p></div></div>"
        f"<p class=MsoNormal><o:p>&nbsp;</o:p></p>{OLD}</div>"
    ),
    "Outlook for Windows, written anew by Gmail": (
        "<div>Here they are.</div><div style='border-right:none;border-bottom:none;border-left:none;border-top:1pt solid "
        f"rgb(225,225,225);padding:3pt 0cm 0cm'><p>{STRANGE}</p></div>{OLD}"
    ),
    "Outlook on the web": (
        '<div class="elementToProof">Here they are.</div><div id="appendonsend"></div><hr style="display:inline-block;'
        f'width:98%" tabindex="-1"><div id="divRplyFwdMsg" dir="ltr">{STRANGE}<div>&nbsp;</div></div>{OLD}'
    ),
    "Outlook for phones": (
        '<div>Here they are.</div><div id="ms-outlook-mobile-signature"><div></div>Get Outlook for iOS</div><div id='
        f'"mail-editor-reference-message-container"><hr><div id="divRplyFwdMsg">{STRANGE}</div>{OLD}</div>'
    ),
    "Outlook for Mac": (
        '<div>Here they are.</div><div><br></div><span id="OLK_SRC_BODY_SECTION"><div style="font-family:Calibri; '
        f'border-top:#b5c4df 1pt solid; padding-top:3pt">{STRANGE}</div>{OLD}</span>'
    ),
    "Hotmail": f'<div>Here they are.</div><div><hr id="stopSpelling">{STRANGE}<br>{OLD}</div>',
    "Apple Mail": (
        '<div>Here they are.</div><div><br><blockquote type="cite"><div>Yy 4. 5. 2020, Ann Ames &lt;ann@example.org&gt; xx:</div>'
        f'<br class="Apple-interchange-newline"><div>{OLD}</div></blockquote></div>'
    ),
    "iPhone": (
        '<div dir="ltr">Here they are.</div><br id="lineBreakAtBeginningOfSignature"><div dir="ltr">Ooo iii</div>'
        f'<div dir="ltr"><br><blockquote type="cite">Yy 4. 5. 2020, Ann Ames &lt;ann@example.org&gt; xx:<br><br>{OLD}</blockquote></div>'
    ),
    "Thunderbird": (
        '<p>Here they are.<br></p><div class="moz-cite-prefix">Yy 4. 5. 2020 xx Ann:<br></div>'
        f'<blockquote type="cite" cite="mid:a@example.org">{OLD}</blockquote>'
    ),
    "Yahoo": (
        '<div class="ydp1a2b3c4dyahoo-style-wrap"><div>Here they are.</div></div><div id="yahoo_quoted_1234567" '
        f'class="yahoo_quoted"><div>Yy 4. 5. 2020, Ann Ames xx:</div><div>{OLD}</div></div>'
    ),
    "Yahoo's ids, seen again by Yahoo": (
        f'<div>Here they are.</div><div id="yiv0123456789yahoo_quoted_12">Yy 4. 5. 2020, Ann:<div>{OLD}</div></div>'
    ),
    "Proton": (
        '<div>Here they are.</div><div class="protonmail_quote">Yy 4. 5. 2020, Ann Ames xx:<br>'
        f'<blockquote class="protonmail_quote" type="cite">{OLD}</blockquote></div>'
    ),
    "Zoho": (
        '<div>Here they are.</div><div class="zmail_extra_hr" style="border-top: 1px solid #ccc"></div><div class='
        f'"zmail_extra"><br><div id="Zm-_Id_-Sgn1">---- Yy 4. 5. 2020 Ann xx ----<br></div><blockquote id="blockquote_zmail">{OLD}'
        "</blockquote></div>"
    ),
    "GMX": (
        '<div>Here they are.</div><div name="quote" style="margin:10px 5px; border-left:2px solid #C3D9E5;"><div>'
        f'{STRANGE}</div><div name="quoted-content">{OLD}</div></div>'
    ),
    "Tuta": f'<div>Here they are.</div><div>4. 5. 2020, 10:11 xx ann@example.org:</div><blockquote class="tutanota_quote">{OLD}</blockquote>',
    "Spark": (
        '<div name="messageBodySection">Here they are.</div><div name="messageSignatureSection">Bob<br>Ltd</div><div name='
        f'"messageReplySection">On 4 May 2020, 10:11 +0200, Ann Ames &lt;ann@example.org&gt;, wrote:<br><blockquote type="cite" class="spark_quote">{OLD}</blockquote></div>'
    ),
    "Zimbra": (
        '<div>Here they are.</div><hr id="zwchr" data-marker="__DIVIDER__"><div data-marker="__HEADERS__">'
        f'{STRANGE}</div><br><div data-marker="__QUOTED_TEXT__">{OLD}</div>'
    ),
    "NetEase": (
        '<div>Here they are.</div><pre>At 2020-05-04 10:11:12, "Ann" &lt;ann@example.org&gt; wrote:</pre><blockquote id='
        f'"isReplyContent" style="PADDING-LEFT: 1ex; MARGIN: 0px 0px 0px 0.8ex; BORDER-LEFT: #ccc 1px solid">{OLD}</blockquote>'
    ),
    "NetEase for phones": (
        '<div>Here they are.</div><div class="ntes-mailmaster-quote"><div>---- Aa bb ----</div><table><tr><td>Qa</td><td>'
        f"Ann</td></tr></table><div>{OLD}</div></div>"
    ),
    "Front": f'<div>Here they are.</div><div>On May 4, 2020, 10:11 AM GMT+2 ann@example.org wrote:</div><blockquote type="cite" class="front-blockquote">{OLD}</blockquote>',
    "HubSpot": f'<div>Here they are.</div><div class="hs_reply"><div>On Mon, May 4, 2020 at 10:11 AM, Ann &lt;ann@example.org&gt; wrote:</div><blockquote style="margin:0 0 0 .8ex;border-left:1px #ccc solid">{OLD}</blockquote></div>',
    "Airmail": f'<div>Here they are.</div><p class="airmail_on">4. 5. 2020 xx Ann Ames:</p><blockquote type="cite" class="clean_bq">{OLD}</blockquote>',
    "Freshdesk": f'<div>Here they are.</div><div class="freshdesk_quote"><blockquote class="freshdesk_quote">Yy 4. 5. 2020 Ann xx:<br>{OLD}</blockquote></div>',
    "BlackBerry": (
        '<div>Here they are.</div><div id="_signaturePlaceholder">Bob</div><div id="_persistentHeader"><div>'
        f'{STRANGE}</div></div><div id="_originalContent">{OLD}</div>'
    ),
    "a webmail that indents what it quotes": (
        "<div>Here they are.</div><div>On Mon, 4 May 2020 at 10:11, Ann Ames &lt;ann@example.org&gt; wrote:</div>"
        f'<blockquote style="margin-left:1ex">{OLD}</blockquote>'
    ),
}


def own(html: str) -> str:
    page = text_of(html)
    segments, _ = cut(page.text, page.marks, "Re: Figures")
    return "".join(page.text[s.start : s.end] for s in segments if s.kind in OWN).strip()


@pytest.mark.parametrize("client", REPLIES)
def test_what_a_client_quotes_is_not_the_authors(client: str) -> None:
    assert own(REPLIES[client]) == "Here they are."


# The others quote to the end: nothing is below that.
@pytest.mark.parametrize("client", [name for name, html in REPLIES.items() if "<blockquote" in html])
def test_answers_below_the_quote_are_the_authors(client: str) -> None:
    assert own(REPLIES[client] + "<div>And one more thing from me.</div>").endswith("And one more thing from me.")


SIGNATURES = {
    "Gmail": '<div class="gmail_signature" data-smartmail="gmail_signature">Bob<br>Ltd</div>',
    "Outlook on the web": '<div id="Signature"><p>Bob<br>Ltd</p></div>',
    "Apple Mail": '<div class="AppleMailSignature" id="AppleMailSignature">Bob<br>Ltd</div>',
    "Apple Mail of old": '<div apple-content-edited="true">Bob<br>Ltd</div>',
    "Thunderbird": '<div class="moz-signature">-- <br>Bob<br>Ltd</div>',
    "Proton": '<div class="protonmail_signature_block"><div class="protonmail_signature_block-user">Bob<br>Ltd</div></div>',
    "Fastmail": '<div id="sig12345678"><div class="signature">Bob<br>Ltd</div></div>',
    "Zimbra": '<div data-marker="__SIG_PRE__">Bob<br>Ltd</div>',
    "Mailspring": "<signature>Bob<br>Ltd</signature>",
    "Samsung": '<div id="composer_signature">Bob<br>Ltd</div>',
    "Gmail, rewritten": '<div class="m_-123456789gmail_signature">Bob<br>Ltd</div>',
}


@pytest.mark.parametrize("client", SIGNATURES)
def test_signatures(client: str) -> None:
    page = text_of(f"<div>Here they are.</div><br>{SIGNATURES[client]}")
    segments, _ = cut(page.text, page.marks)
    assert [
        page.text[s.start : s.end].strip().removeprefix("--").strip() for s in segments if s.kind == "signature"
    ] == ["Bob\nLtd"]


INDENTS = {
    "Gmail": '<blockquote style="margin:0 0 0 40px;border:none;padding:0px"><div>mine, too</div></blockquote>',
    "Outlook": '<blockquote style="margin-left:36.0pt;margin-right:0cm"><p class=MsoNormal>mine, too</p></blockquote>',
    "Apple Mail": '<blockquote class="webkit-indent-blockquote" style="margin: 0 0 0 40px; border: none; padding: 0px;">mine, too</blockquote>',
}


@pytest.mark.parametrize("client", INDENTS)
@pytest.mark.parametrize("above", ["Version 2 does this:", "Please note", "", "We agreed on 3 things:"])
def test_an_indented_block_is_the_authors(client: str, above: str) -> None:
    html = f"<div>{above}</div>{INDENTS[client]}<div>That is all.</div>"
    assert own(html).split() == f"{above} mine, too That is all.".split()


def test_a_line_above_a_box_is_no_head() -> None:
    html = '<div>News</div><div style="border-top:1px solid #e5e5e5"><p>Today we open.</p><p>Come and see.</p></div>'
    assert own(html).split() == ["News", "Today", "we", "open.", "Come", "and", "see."]


def test_a_forward_whose_region_was_closed_too_early() -> None:
    head = "---------- Forwarded message ---------<br>From: Ann &lt;ann@example.org&gt;<br>Subject: Figures<br>"
    page = text_of(f'<div>FYI</div><div class="gmail_quote">{head}</div><div>The figures are in.</div>')
    segments, _ = cut(page.text, page.marks, "Fwd: Figures")
    assert [s.kind for s in segments] == ["new", "forward", "forward"]


@pytest.mark.parametrize(
    "prefix", ["", "x_", "x_x_", "m_123", "m_-987654321", "yiv1234567890", "ydp12ab34cd", "x_yiv12", "m_1m_2"]
)
@pytest.mark.parametrize("name", ["gmail_quote", "yahoo_quoted", "signature", "moz-cite-prefix"])
def test_names_behind_prefixes(prefix: str, name: str) -> None:
    assert bare_name(prefix + name) == name


@given(st.text(alphabet="xmy_idpvabc-0123456789", max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_name_has_a_bare_form_that_stays(name: str) -> None:
    assert name.lower().removesuffix("_container").endswith(bare_name(name))


def test_many_indents_are_as_fast_as_text() -> None:
    page = text_of('<blockquote style="margin:1px">a: b@example.org<br>c: d</blockquote>' * 5000)
    segments, _ = cut(page.text, page.marks)
    assert segments[-1].end == len(page.text)
