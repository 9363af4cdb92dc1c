"""What stands above and below an author's words, in the words of many languages; and what only looks like that."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from effort import linear
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.cut import phrases
from mailloom.mail.cut.card import evidence
from mailloom.mail.cut.greeting import is_name, is_signoff, known_words
from mailloom.mail.cut.segment import cut
from mailloom.mail.cut.signature import is_device
from mailloom.mail.model import OWN
from mailloom.mail.text.html import text_of

ANN = ("Ann Lee", "ann.lee@example.org")


def kinds(text, names=()):
    segments, _ = cut(text, (), "", names)
    assert "".join(text[s.start : s.end] for s in segments) == text
    return [(s.kind, text[s.start : s.end].strip()) for s in segments if text[s.start : s.end].strip()]


def rules(text, names=()):
    return [s.rule for s in cut(text, (), "", names)[0] if text[s.start : s.end].strip()]


def own(text, names=()):
    return "".join(text[s.start : s.end] for s in cut(text, (), "", names)[0] if s.kind in OWN).strip()


BODY = "we looked at it yesterday and it works as you said it would.\n\nMore tomorrow, when the others are back."

# ---------------------------------------------------------------- greeting and sign-off

LETTERS = {
    "en": ("Hi Ann,", "Best regards,\nBob"),
    "en us": ("Dear Dr. Smith:", "Sincerely,\n\nBob Stone"),
    "en all": ("Good morning everyone!", "Thanks!"),
    "en lower": ("hi ann,", "cheers, bob"),
    "en one line": ("Hello Ann and Bob,", "Thanks, Carol"),
    "en colleagues": ("Dear colleagues,", "With many thanks,\nCarol"),
    "de": ("Hallo zusammen,", "Mit freundlichen Grüßen\nJörg Weiß"),
    "de formal": ("Sehr geehrte Frau Dr. Weiß,", "Mit freundlichen Gruessen"),
    "de short": ("Moin,", "LG Jörg"),
    "fr": ("Bonjour,", "Cordialement,\nJean Petit"),
    "fr names": ("Chère Madame Petit,", "Bien à vous"),
    "es": ("Hola Ana:", "Un saludo,\nJosé"),
    "es formal": ("Estimados señores:", "Atentamente"),
    "ca": ("Benvolguda Núria,", "Salutacions,\nPau"),
    "pt": ("Prezados,", "Atenciosamente,\nJoão"),
    "pt br": ("Oi Ana, bom dia!", "Abraços"),
    "it": ("Gentile Dott. Rossi,", "Cordiali saluti\nAnna Bianchi"),
    "nl": ("Beste Jan,", "Met vriendelijke groet,\nPiet de Vries"),
    "sv": ("Hej Åsa!", "Med vänliga hälsningar\nÖrjan"),
    "da": ("Kære Søren", "Venlig hilsen\nMette"),
    "no": ("Hei Kari,", "Med vennlig hilsen\nOla"),
    "is": ("Sæll Jón,", "Bestu kveðjur,\nGuðrún"),
    "fi": ("Hei Matti,", "Ystävällisin terveisin\nLiisa"),
    "et": ("Tere Mari,", "Lugupidamisega\nJaan"),
    "lv": ("Labdien!", "Ar cieņu,\nJānis"),
    "lt": ("Laba diena,", "Pagarbiai\nJonas"),
    "pl": ("Dzień dobry,", "Pozdrawiam serdecznie\nŁukasz"),
    "cs": ("Dobrý den,", "S pozdravem\nŠárka Nová"),
    "sk": ("Ahoj Ľuboš,", "S pozdravom\nZuzana"),
    "hu": ("Kedves Éva!", "Üdvözlettel,\nGábor"),
    "ro": ("Bună ziua,", "Cu stimă,\nȘtefan"),
    "hr": ("Poštovani,", "Srdačan pozdrav,\nIva"),
    "sl": ("Pozdravljeni,", "Lep pozdrav,\nŽiga"),
    "sr": ("Поштовани,", "Срдачан поздрав,\nМилан"),
    "bg": ("Здравейте,", "Поздрави,\nИван"),
    "ru": ("Здравствуйте, Анна!", "С уважением,\nИван Петров"),
    "uk": ("Доброго дня!", "З повагою\nОлена"),
    "el": ("Αγαπητέ Γιώργο,", "Με εκτίμηση,\nΕλένη"),
    "sq": ("Përshëndetje Arta,", "Me respekt,\nDritan"),
    "tr": ("Merhaba Ayşe,", "Saygılarımla,\nMehmet"),
    "ar": ("السلام عليكم،", "مع تحياتي\nأحمد"),
    "he": ("שלום רב,", "בברכה,\nדוד"),
    "fa": ("با سلام،", "با تشکر\nرضا"),
    "hi": ("नमस्ते,", "सादर\nरवि"),
    "th": ("สวัสดีครับ", "ขอบคุณครับ"),
    "vi": ("Kính gửi Anh Minh,", "Trân trọng,\nLan"),
    "id": ("Yth. Bapak Budi,", "Terima kasih"),
    "zh": ("你好，", "谢谢！\n王芳"),
    "zh tw": ("陳先生您好：", "順頌 商祺\n林美"),
    "ja": ("お疲れ様です。", "よろしくお願いいたします。"),
    "ko": ("안녕하세요.", "감사합니다.\n김민수"),
    "eo": ("Saluton Ana,", "Amike,\nPetro"),
    "cy": ("Annwyl Siân,", "Cofion gorau,\nGareth"),
    "ga": ("A chara,", "Le meas,\nSeán"),
}


@pytest.mark.parametrize("name", LETTERS)
@pytest.mark.parametrize(
    "below", ["", "\nOn 3 Sep 2026, at 02:14, Ann Lee <ann@example.org> wrote:\n\n> Hi Bob,\n> old\n> Best, Ann\n"]
)
def test_a_letter(name, below):
    hello, bye = LETTERS[name]
    found = kinds(f"{hello}\n\n{BODY}\n\n{bye}\n{below}")
    assert found[:3] == [("greeting", hello), ("new", BODY), ("signoff", bye)]


def test_letters_are_of_many_languages():
    assert len({name.split()[0] for name in LETTERS}) >= 30


@pytest.mark.parametrize(
    "line",
    [
        "Hi, thanks for the patch.",
        "Hello World does not print anything",
        "Dear me, that went wrong again, did it not",
        "Good morning starts with coffee, as we all know by now, and then there is work to be done",
        "Hey, did you see this?",
        "Yes,",
        "However,",
        "The greeting",
        "On the other hand,",
        "Hi https://example.org/x",
        "Hallo Welt ist ein Programm das etwas ausgibt",
    ],
)
def test_no_greeting(line):
    assert "greeting" not in [k for k, _ in kinds(f"{line}\n{BODY}\n")]


def test_a_greeting_is_the_first_line_only():
    assert "greeting" not in [k for k, _ in kinds(f"{BODY}\n\nHi Ann,\n\n{BODY}\n")]


def test_a_name_alone_greets_when_its_words_follow():
    assert kinds("Ann,\n\nplease see below.\n")[0] == ("greeting", "Ann,")


def test_two_lines_greet_in_japan():
    assert kinds(f"田中様\n\nお世話になっております。\n\n{BODY}\n")[0] == (
        "greeting",
        "田中様\n\nお世話になっております。",
    )


@pytest.mark.parametrize(
    "line",
    [
        "Thanks for the patch, it works",
        "Best practices are listed on the page",
        "Regards the second point: no",
        "Love it when it works",
        "Later versions do that",
        "Danke für die schnelle Antwort gestern und den Hinweis",
    ],
)
def test_no_signoff(line):
    assert "signoff" not in [k for k, _ in kinds(f"{BODY}\n\n{line}\n")]


def test_only_the_first_and_the_last_stretch_of_an_interleaved_mail_greet_and_sign_off():
    text = "Hi Ann,\n\n> one\n\nThanks\n\n> two\n\nHello Ann,\n\n> three\n\nno\n\nBest,\nBob\n"
    assert [k for k, _ in kinds(text)] == ["greeting", "quote", "new", "quote", "new", "quote", "new", "signoff"]


def test_the_senders_name_alone_signs_off():
    assert kinds(f"{BODY}\n\nAnn\n", ANN)[-1] == ("signoff", "Ann")
    assert [k for k, _ in kinds(f"{BODY}\n\nProblem\n", ANN)] == ["new"]


def test_what_the_author_typed_is_kept_whole():
    text = f"Hi Bob,\n\n{BODY}\n\nBest,\nAnn"
    assert own(text + "\n\n-- \nAnn Lee\n") == text


# ---------------------------------------------------------------- a device's line

DEVICES = [
    "Sent from my iPhone",
    "Sent from my Pixel 9 using Somemail",
    "Sent from Mail for Windows",
    "Sent via BlackBerry by Example Wireless",
    "Sent with Proton Mail secure email.",
    "Get Outlook for iOS<https://aka.example/x>",
    "Sent from Outlook for Android",
    "Sent using Zoho Mail",
    "Sent from Shapeworks",
    "Von meinem iPhone gesendet",
    "Gesendet von Mail für Windows",
    "Von meinem Samsung Galaxy Smartphone gesendet.",
    "Holen Sie sich Outlook für iOS",
    "Envoyé de mon iPhone",
    "Envoyé à partir d'un téléphone Samsung",
    "Télécharger Outlook pour Android",
    "Enviado desde mi iPhone",
    "Enviado desde mi teléfono Huawei",
    "Enviado do meu iPhone",
    "Enviat des del meu iPhone",
    "Inviato da iPhone",
    "Inviato dal mio telefono Android",
    "Verstuurd vanaf mijn iPhone",
    "Verzonden met mijn Samsung-telefoon",
    "Skickat från min iPhone",
    "Sendt fra min iPhone",
    "Sent fra min iPad",
    "Lähetetty iPhonesta",
    "Saadetud minu iPhone'ist",
    "Nosūtīts no mana iPhone",
    "Išsiųsta iš mano iPhone",
    "Wysłane z iPhone'a",
    "Wysłano z telefonu Samsung",
    "Odesláno z iPhonu",
    "Odoslané z iPhonu",
    "iPhone-ról küldve",
    "Trimis de pe iPhone-ul meu",
    "Poslano s mog iPhonea",
    "Poslano iz mojega iPhona",
    "Послато са iPhone-а",
    "Изпратено от моя iPhone",
    "Отправлено с iPhone",
    "Отправлено из мобильной Почты",
    "Надіслано з iPhone",
    "Στάλθηκε από το iPhone μου",
    "iPhone'umdan gönderildi",
    "أرسلت من iPhone الخاص بي",
    "נשלח מה-iPhone שלי",
    "ارسال شده از آیفون iPhone من",
    "मेरे iPhone से भेजा गया",
    "ส่งจาก iPhone ของฉัน",
    "Đã gửi từ iPhone của tôi",
    "Dikirim dari iPhone saya",
    "发自我的iPhone",
    "發自我的 iPhone",
    "iPhoneから送信",
    "나의 iPhone에서 보냄",
    "Sendt fra Outlook til Android",
]


@pytest.mark.parametrize("line", DEVICES)
def test_a_devices_line(line):
    assert is_device(line)
    assert kinds(f"Ok, tomorrow.\n\n{line}\n") == [("new", "Ok, tomorrow."), ("signature", line)]
    assert kinds(f"Ok.\n\n{line}\n\n> old\n")[:2] == [("new", "Ok."), ("signature", line)]


@pytest.mark.parametrize(
    "line",
    [
        "Sent from the office by somebody",
        "Sent by mistake, sorry.",
        "Von meinem Chef habe ich nichts gehört",
        "Enviado por error",
        "Envoyé hier soir par Jean",
        "Sent with love from all of us here at the farm, and do come by.",
        "已经发送",
        "Die Rechnung wurde gestern gesendet",
    ],
)
def test_no_devices_line(line):
    assert not is_device(line)
    assert {k for k, _ in kinds(f"{BODY}\n\n{line}\n")} <= OWN


# ---------------------------------------------------------------- signatures

CARDS = {
    "plain": "Ann Lee\nProcurement, Quarrystone",
    "bold": "*Ann Lee*\n*Chief Engineer*\nann@example.com | 555-010-0123",
    "dots": "Ann Lee • Designer • Example • ann@example.com",
    "picture": "Ann Lee | Head of Sales\nExample Ltd\n[cid:image001.png@01D00000.00000000]\nT +44 20 7946 0018  M +44 7700 900018",
    "fr": "Ann LEE\nDirectrice technique\nSociété Exemple SAS\n12 rue de la Paix\n75002 PARIS\nTél. : 01 23 45 67 89",
    "ru": "Ann Lee\nМенеджер отдела продаж\nООО Пример\nтел. +7 495 123-45-67",
    "work": "Ann Lee\nSenior Engineer\nExample Ltd\n+44 20 7946 0018\nann@example.org",
    "labels": "Ann Lee\nT: 555 010 0199\nM: 555-010-0142\nE: ann@example.org\nW: www.example.org",
    "bars": "Ann Lee | Product Manager | Example Inc. | +1 (555) 010-0199 | www.example.com",
    "university": "Dr. Ann Lee\nDepartment of Physics\nUniversity of Example\nhttps://example.org/~ann",
    "address": "Ann Lee\nExample GmbH\nHauptstraße 12, 10115 Berlin\nTel. +49 30 1234567\nFax +49 30 1234568",
    "social": "Ann Lee\nFounder, Example\nLinkedIn | Twitter | GitHub",
    "blank": "Ann Lee\n\nExample Oy\nMannerheimintie 1, 00100 Helsinki\n\npuh. +358 9 1234 5678\nwww.example.net",
    "zh": "Ann Lee\n示例有限公司\n电话：010-12345678\n邮箱：ann@example.org",
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card(name):
    card = CARDS[name]
    assert kinds(f"Hi Bob,\n\n{BODY}\n\n{card}\n", ANN)[-1] == ("signature", card)
    assert kinds(f"Hi Bob,\n\n{BODY}\n\nBest regards,\n\n{card}\n", ANN)[-2:] == [
        ("signoff", "Best regards,"),
        ("signature", card),
    ]
    assert kinds(f"Hi Bob,\n\n{BODY}\n\nBest regards,\nAnn\n\n{card}\n", ANN)[-2:] == [
        ("signoff", "Best regards,\nAnn"),
        ("signature", card),
    ]


@pytest.mark.parametrize("name", ["work", "labels", "address"])
def test_a_card_without_knowing_the_sender(name):
    card = CARDS[name]
    assert kinds(f"Hi Bob,\n\n{BODY}\n\nKind regards,\n{card}\n")[-2:] == [
        ("signoff", "Kind regards,"),
        ("signature", card),
    ]
    assert kinds(f"Hi Bob,\n\n{BODY}\n\n{card}\n\nSent from my iPhone\n")[2:] == [
        ("signature", card),
        ("signature", "Sent from my iPhone"),
    ]


DELIMITERS = ["-- ", "--", "--\xa0", "—", "__", "- -- ", "**--**", "-------------", "_____", "=========="]


@pytest.mark.parametrize("line", DELIMITERS)
def test_a_delimiter(line):
    assert kinds(f"{BODY}\n\n{line}\nAnn Lee\nExample Org\nann@example.org\n", ANN)[1:] == [
        ("signature", f"{line}\nAnn Lee\nExample Org\nann@example.org".strip())
    ]


@pytest.mark.parametrize(
    ("line", "names"), [("-Ann", ()), ("- Ann", ANN), ("-- Ann Lee", ()), ("—Ann", ANN), ("/Ann", ANN), ("--ann", ())]
)
def test_a_name_behind_a_dash(line, names):
    assert kinds(f"{BODY}\n\n{line}\n", names)[-1] == ("signature", line)


def test_pgp():
    text = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{BODY}\n\n- -- \nAnn\n-----BEGIN PGP SIGNATURE-----\n\nabc=\n=x\n-----END PGP SIGNATURE-----\n"
    assert own(text) == BODY
    assert rules(text) == ["banner", "author", "dash-dash-escaped", "pgp"]


# ---------------------------------------------------------------- notices

NOTICES = {
    "en": "This e-mail and any attachments are confidential. If you are not the intended recipient, please notify the sender and delete it.",
    "en 2": "CONFIDENTIALITY NOTICE: The contents of this message are intended solely for the addressee and may contain privileged information.",
    "de": "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Empfänger sind, löschen Sie bitte diese E-Mail.",
    "fr": "Ce message est confidentiel et destiné exclusivement à ses destinataires. Si vous l'avez reçu par erreur, merci de le détruire.",
    "es": "Este mensaje es confidencial y va dirigido únicamente a su destinatario. Si lo ha recibido por error, elimínelo.",
    "pt": "Esta mensagem é confidencial e destina-se apenas ao seu destinatário. Se a recebeu por engano, apague-a, por favor.",
    "it": "Questo messaggio è riservato ed è destinato esclusivamente al destinatario. Se lo ha ricevuto per errore, è pregato di eliminarlo.",
    "nl": "Dit bericht is vertrouwelijk en uitsluitend bestemd voor de geadresseerde. Indien u dit ten onrechte ontvangt, verwijder het dan.",
    "sv": "Detta meddelande är konfidentiellt och avsett endast för mottagaren. Om du fått det av misstag, vänligen radera det.",
    "da": "Denne e-mail er fortrolig og kun tiltænkt modtageren. Har du modtaget den ved en fejl, bedes du slette den.",
    "fi": "Tämä viesti on luottamuksellinen ja tarkoitettu vain vastaanottajalle. Jos sait sen virheellisesti, poista se.",
    "pl": "Ta wiadomość jest poufna i przeznaczona wyłącznie dla adresata. Jeśli otrzymali ją Państwo omyłkowo, prosimy ją usunąć.",
    "cs": "Tato zpráva je důvěrná a je určena pouze adresátovi. Pokud jste ji obdrželi omylem, smažte ji prosím.",
    "hu": "Ez az üzenet bizalmas és csak a címzett számára készült. Ha tévedésből kapta meg, kérjük, törölje.",
    "ro": "Acest mesaj este confidențial și adresat exclusiv destinatarului. Dacă l-ați primit din greșeală, vă rugăm să îl ștergeți.",
    "ru": "Это сообщение конфиденциально и предназначено только адресату. Если вы получили его по ошибке, удалите его, пожалуйста.",
    "uk": "Це повідомлення є конфіденційним і призначене лише для отримувача. Якщо ви отримали його помилково, видаліть його.",
    "el": "Το μήνυμα αυτό είναι εμπιστευτικό και προορίζεται μόνο για τον παραλήπτη. Αν το λάβατε κατά λάθος, διαγράψτε το.",
    "tr": "Bu e-posta gizlidir ve yalnızca alıcısına yöneliktir. Yanlışlıkla aldıysanız lütfen silin ve göndereni bilgilendirin.",
    "he": "הודעה זו חסויה ומיועדת לנמען בלבד. אם קיבלת אותה בטעות, אנא מחק אותה. המידע חסוי.",
    "zh": "本邮件含有保密信息，仅供收件人使用。如果您误收了本邮件，请立即删除并通知发件人。",
    "ja": "このメールには機密情報が含まれており、受信者のみを対象としています。誤って受信された場合は削除してください。",
    "ko": "이 메일은 기밀 정보를 포함하고 있으며 지정된 수신인만을 위한 것입니다. 잘못 수신하신 경우 삭제하여 주십시오.",
    "scanned": "This email has been checked for viruses by Somebody.\nwww.example.com",
    "virus free": "Virus-free. www.example.com",
    "tree": "Please consider the environment before printing this email.",
    "tree de": "Bitte denken Sie an die Umwelt, bevor Sie diese E-Mail ausdrucken.",
    "company": "Example Ltd is a company registered in England and Wales. Registered number: 01234567. Registered office: 1 High Street, Exampleton.",
    "company de": "Sitz der Gesellschaft: Musterstadt, Amtsgericht Musterstadt HRB 12345, Geschäftsführer: Jörg Weiß",
    "mailman": f"{'_' * 47}\nplan mailing list\nplan@lists.example.org\nhttps://lists.example.org/mailman/listinfo/plan",
    "mailman 3": f"{'_' * 47}\nplan mailing list -- plan@lists.example.org\nTo unsubscribe send an email to plan-leave@lists.example.org",
    "google": '-- \nYou received this message because you are subscribed to the Google Groups "plan" group.\nTo unsubscribe from this group and stop receiving emails from it, send an email to plan+unsubscribe@googlegroups.com.',
    "sympa": "---------------------------------------\nPour vous désinscrire de la liste: https://listes.example.org/sympa/signoff/plan",
    "majordomo": '--\nTo unsubscribe from this list: send the line "unsubscribe plan" in\nthe body of a message to majordomo@example.org',
    "service": "—\nReply to this email directly, view it on GitHub, or unsubscribe.\nYou are receiving this because you commented.",
    "newsletter": "You are receiving this email because you signed up at example.org. Unsubscribe: https://example.org/u/1",
    "newsletter de": "Sie erhalten diese E-Mail, weil Sie sich angemeldet haben. Hier abmelden: https://example.org/u/1",
    "newsletter fr": "Vous recevez ce message car vous êtes inscrit. Pour vous désabonner : https://example.org/u/1",
    "advert": f"{'_' * 60}\nDo more with Examplemail, free for everybody!\nhttp://mail.example.com",
}


@pytest.mark.parametrize("name", NOTICES)
@pytest.mark.parametrize("below", ["", "\nOn 3 Sep 2026, at 02:14, Ann Lee <ann@example.org> wrote:\n\n> old\n"])
def test_a_notice(name, below):
    note = NOTICES[name]
    found = kinds(f"Hi Bob,\n\n{BODY}\n\nBest,\nAnn\n\n{note}\n{below}")
    assert found[:4] == [("greeting", "Hi Bob,"), ("new", BODY), ("signoff", "Best,\nAnn"), ("disclaimer", note)]


@pytest.mark.parametrize("first", NOTICES)
@pytest.mark.parametrize("second", ["en", "tree", "mailman", "google", "virus free", "advert"])
def test_notices_below_each_other(first, second):
    assert own(f"{BODY}\n\n-- \nAnn Lee\n\n{NOTICES[first]}\n\n{NOTICES[second]}\n") == BODY
    assert own(f"{BODY}\n\nSent from my iPhone\n\n{NOTICES[first]}\n\n{NOTICES[second]}\n") == BODY


def test_rules_tell_what_was_found():
    text = f"CAUTION: This email originated from outside the organization. Do not click links.\n\nHi,\n\n{BODY}\n\nBest,\nAnn\n\n-- \nAnn Lee\n\n{NOTICES['en']}\n\n{NOTICES['mailman']}\n"
    assert rules(text) == [
        "banner",
        "greeting",
        "author",
        "signoff",
        "dash-dash-blank",
        "disclaimer-legal",
        "footer-list",
    ]


def test_a_signature_stays_one_where_a_list_appends_its_address():
    drawn = f"{BODY}\n\n----------------------\nAnn Lee   ann@example.org\nhttps://example.org/mailman/listinfo/plan\n"
    assert rules(drawn, ANN) == ["author", "drawn", "footer-list"]
    text = f"{BODY}\n\n-- \nAnn Lee   ann@example.org\nhttps://example.org/mailman/listinfo/plan\n"
    assert kinds(text, ANN)[1:] == [
        ("signature", "-- \nAnn Lee   ann@example.org"),
        ("disclaimer", "https://example.org/mailman/listinfo/plan"),
    ]


def test_below_a_marked_signature_goes_on_what_is_there():
    footer = NOTICES["mailman"].replace("\n", "<br>")
    page = text_of(f'<div>{BODY}</div><div class="gmail_signature">Ann</div><div>{footer}</div>')
    segments, _ = cut(page.text, page.marks)
    assert [(s.kind, s.rule) for s in segments if page.text[s.start : s.end].strip()] == [
        ("new", "author"),
        ("signature", "markup"),
        ("disclaimer", "footer-list"),
    ]
    page = text_of('<div>one</div><div class="gmail_signature">Ann</div><div>and two</div>')
    assert [s.kind for s in cut(page.text, page.marks)[0]] == ["new", "signature", "new"]


def test_a_mail_that_is_a_notice_says_that():
    assert kinds(NOTICES["en"] + "\n") == [("new", NOTICES["en"])]


# ---------------------------------------------------------------- banners

BANNERS = {
    "en": "CAUTION: This email originated from outside of the organization. Do not click links or open attachments unless you\nrecognize the sender and know the content is safe.",
    "en short": "[EXTERNAL]",
    "en stars": "*** EXTERNAL EMAIL ***",
    "en tag": "EXTERNAL EMAIL",
    "en first": "You don't often get email from ann@example.org. Learn why this is important",
    "en first 2": "You don't often get email from ann@example.org. Learn why this is important<https://aka.example/Learn>",
    "en sender": "External Sender: be careful with links and attachments in this message.",
    "box": "---------------------------\nWARNING: This message is from an external sender. Do not open attachments.\n---------------------------",
    "de": "ACHTUNG: Diese E-Mail stammt von einem externen Absender. Öffnen Sie keine Anhänge und klicken Sie keine Links.",
    "de 2": "Vorsicht! Diese Nachricht kommt von außerhalb. Bitte keine Anhänge öffnen.",
    "fr": "ATTENTION : Ce courriel provient de l'extérieur de l'organisation. Ne cliquez pas sur les liens.",
    "es": "PRECAUCIÓN: Este correo se originó fuera de la organización. No haga clic en enlaces ni abra adjuntos.",
    "pt": "CUIDADO: Este e-mail foi enviado de fora da organização. Não clique em links nem abra anexos.",
    "it": "ATTENZIONE: questa email proviene dall'esterno dell'organizzazione. Non aprire allegati.",
    "nl": "LET OP: Deze e-mail komt van buiten de organisatie. Open geen bijlagen van een onbekende afzender.",
    "sv": "VARNING: Detta mejl kommer utanför organisationen. Klicka inte på länkar.",
    "da": "ADVARSEL: Denne mail kommer uden for organisationen. Klik ikke på links.",
    "fi": "VAROITUS: Tämä viesti tulee organisaation ulkopuolelta. Älä avaa liitteitä.",
    "pl": "UWAGA: Ta wiadomość pochodzi spoza organizacji. Nie otwieraj załączników.",
    "cs": "POZOR: Tento e-mail přišel z vnějšku. Neotvírejte přílohy od neznámého odesílatele.",
    "ru": "ВНИМАНИЕ: Это письмо пришло от внешнего отправителя. Не открывайте вложения.",
    "uk": "УВАГА: Цей лист надійшов ззовні. Не відкривайте вкладення.",
    "tr": "DİKKAT: Bu e-posta kurum dışından gönderilmiştir. Ekleri açmayın.",
    "zh": "注意：此邮件来自外部。请勿点击链接或打开附件。",
    "ja": "注意：このメールは社外から送信されています。添付ファイルに注意してください。",
    "ko": "주의: 외부에서 온 메일입니다. 첨부파일을 열지 마십시오.",
    "he": "זהירות: הודעה זו הגיעה מחוץ לארגון. אין לפתוח קבצים.",
    "ar": "تنبيه: هذه الرسالة من خارج المؤسسة. لا تفتح المرفقات.",
}


@pytest.mark.parametrize("name", BANNERS)
def test_a_banner(name):
    above = BANNERS[name]
    assert kinds(f"{above}\n\nHi Bob,\n\n{BODY}\n")[:3] == [
        ("disclaimer", above),
        ("greeting", "Hi Bob,"),
        ("new", BODY),
    ]


@pytest.mark.parametrize("name", [n for n in BANNERS if n != "box"])
def test_a_banner_right_above_the_words(name):
    assert own(f"{BANNERS[name]}\nHi Bob,\n\n{BODY}\n") == f"Hi Bob,\n\n{BODY}"


@pytest.mark.parametrize("name", BANNERS)
def test_a_banner_does_not_hide_a_head(name):
    head = "From: Ann Lee <ann@example.org>\nSent: Thursday, September 3, 2026 2:14 AM\nTo: Bob <bob@example.net>\nSubject: Plan"
    found = kinds(f"See below.\n\n{head}\n\n{BANNERS[name]}\n\nHello\n")
    assert [k for k, _ in found] in (["new", "forward", "forward"], ["new", "attribution", "quote"])
    assert found[1][1] == head


def test_banners_of_two_gateways():
    assert own(f"[EXT]\n\n{BANNERS['en']}\n\n{BANNERS['en first']}\n\n{BODY}\n") == BODY


@pytest.mark.parametrize(
    "text",
    [
        "The external review of the message format is done; links are attached.",
        "This message is about links, outside of what we said about mail.\n\nMore",
        "Attention all: lunch is outside today.",
        "If untrusted strangers send mail through your server, click nothing and report it.",
        "Caution is advised with these tools.",
    ],
)
def test_no_banner(text):
    assert [k for k, _ in kinds(f"{text}\n\nIt ends here, as it began, with words.\n")] == ["new"]


# ---------------------------------------------------------------- what only looks like it

NOTHING = {
    "facts": "Here is what you asked for:\n\nJohn Doe\nExample Ltd\n555-010-0199\njohn@example.com",
    "facts of another": "You may ask our agent in town.\n\nJohn Doe\nExample Ltd\n555-010-0199\njohn@example.com",
    "phone": "Call me when you are there.\n\nThanks for the phone number: 555-0100-1234",
    "number": "The order is this one, and it has not arrived:\n\n4711 0815 2342",
    "patch": 'This does what it says.\n\nFixes: 1234567890ab ("that")\nReported-by: Bob <bob@example.net>\nReviewed-by: Carol <carol@example.com>\nSigned-off-by: Ann Lee <ann@example.org>',
    "tested": "Works for me.\n\nThanks\n\nTested-by: Ann Lee <ann@example.org>",
    "note below the name": "As I read there (1).\n\nAnn\n1. https://example.org/page",
    "comment": "I would do\n\n  tool --commit\n\n-- that is all",
    "afterthought": "Works for me.\n\nThanks,\nAnn Lee\nP.S. Call me",
    "names": "See you there!\n\nThe organisers,\n\nBob Stone\nAnn Lee\nCarol Miller",
    "ack": "Looks good.\n\nAcked-by: Ann Lee <ann@example.org>",
    "notes": "As said in the talk [1] and on the page [2].\n\n[1] https://example.org/talk\n[2] https://example.org/page",
    "link": "The page is here:\n\nhttps://example.org/page",
    "link without a colon": "I put everything on the page that we talked about.\n\nhttps://example.org/page",
    "markdown rule": "First part of it all, with words.\n\n---\n\nsecond part of it, which goes on for a while\nand then some",
    "headings": "One\n===\n\nsome words here\n\nTwo\n---\n\nmore words there",
    "table": "The numbers:\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "ascii table": "The numbers are these:\n\nname      count\n-------   -----\nfoo           1\nbar           2",
    "sql": "This is it:\n\nSELECT 1\n--\n-- the second one\n--\nSELECT 2;",
    "sql bare": "This is it:\n\nSELECT a\n--\nFROM b;",
    "indented comment": "like so:\n\n    begin\n    --\n    x := 1\n    --\n    y := 2",
    "options": "Run it like this:\n\ntool --all --\ntool -- file",
    "decrement": "and the loop:\n\nfor (i = n; i > 0; i--)\n    x--",
    "poem": "Roses are red,\nViolets are blue,\nMail is a thread\nThat leads me to you.",
    "list": "We need:\n\n- Apples\n- Pears\n- Plums",
    "items apart": "We need\n\n- Apples\n\n- Pears\n\n- Plums",
    "confidential": "I find this confidential and would not tell anybody.\n\nWould you?",
    "question": "How do I unsubscribe from this list?",
    "about lists": "The mailing list moved, so please tell everyone to subscribe again.\n\nIt is simple.",
    "log": "it prints\n\n----------\nerror: could not open file\nwarning: gave up\n----------",
    "code": "try\n\n```\nx = y\n--\n```",
    "path": "it is in\n\n/usr/share/doc",
    "steps": "Please do this.\n\n1. Open it\n2. Press 5\n3. Wait",
    "dates": "The dates are fixed now, all of them.\n\n2026-09-03\n2026-09-04",
    "quote of a saying": 'He said it best.\n\n"Nothing is as it seems."',
    "short": "ok",
    "manager": "I spoke about it with the Sales Manager",
}


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("names", [(), ANN])
def test_nothing_is_cut(name, names):
    text = NOTHING[name]
    if name == "facts of another" and not names:
        pytest.skip("nobody can tell them from the sender's own without knowing who that is")
    assert own(f"{text}\n", names) == text
    assert own(f"Hi Bob,\n\n{text}\n\n> old\n", names) == f"Hi Bob,\n\n{text}"


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("line", "names", "is_one"),
    [
        ("Ann", ANN, True),
        ("Ann Lee", ANN, True),
        ("ann", ANN, True),
        ("A. Lee", ANN, True),
        ("Rob Stone", ("Robert Stone", "rs@example.org"), True),
        ("Bob", ANN, False),
        ("Lee is here", ANN, False),
        ("Ann Lee", (), True),
        ("some words", (), False),
        ("", ANN, False),
    ],
)
def test_names(line, names, is_one):
    assert is_name(line, known_words(names)) is is_one


def test_known_words_leave_out_what_lists_add():
    assert known_words(('"Lee, Ann (Example) via Plan"', "plan-list@example.org")) == {
        "lee",
        "ann",
        "example",
        "plan",
        "list",
    }


# ---------------------------------------------------------------- promises

ORDER = {"disclaimer": 0, "greeting": 1, "new": 2, "signoff": 3, "signature": 4}
PIECES = st.one_of(
    st.sampled_from(
        [x for pair in LETTERS.values() for x in pair]
        + DEVICES
        + DELIMITERS
        + list(CARDS.values())
        + list(NOTICES.values())
        + list(BANNERS.values())
        + list(NOTHING.values())
        + [
            "",
            "",
            " ",
            "---",
            "_" * 30,
            "> q",
            "x" * 200,
            "Ann",
            "confidential",
            "http://",
            "@",
            "-----BEGIN PGP SIGNATURE-----",
            "-----END PGP SIGNATURE-----",
        ]
    ),
    st.text(max_size=30),
)


@given(st.lists(PIECES, max_size=12), st.sampled_from([(), ANN, ("", ""), ("\x00 ,", "@")]))
def test_segments_cover_the_text_in_order(pieces, names):
    text = "\n".join(pieces)
    segments, _ = cut(text, (), "", names)
    assert "".join(text[s.start : s.end] for s in segments) == text
    said = [s.kind for s in segments if s.kind in OWN]
    assert said.count("greeting") <= 1
    assert said.count("signoff") <= 1
    if "greeting" in said:
        assert said[0] == "greeting" or not text[
            : next(s for s in segments if s.kind == "greeting").start
        ].strip().strip(">")
    assert all(s.rule and 0 < s.confidence <= 1000 for s in segments)
    if all(s.kind not in ("quote", "attribution", "forward") for s in segments):
        below = [s.kind for s in segments if s.rule != "banner"]
        own_kinds = [k for k in below if k in OWN]
        assert below[: len(own_kinds)] == own_kinds or below[0] == "disclaimer"
        assert own_kinds == sorted(own_kinds, key=ORDER.__getitem__)


@given(st.lists(PIECES, max_size=8))
def test_who_sent_it_changes_no_head(pieces):
    text = "\n".join(pieces)
    heads = ("attribution", "quote", "forward")
    assert [s for s in cut(text)[0] if s.kind in heads] == [s for s in cut(text, (), "", ANN)[0] if s.kind in heads]


def test_every_cut_of_a_mail():
    text = f"{BANNERS['en']}\n\nHi Bob,\n\n{BODY}\n\nBest,\nAnn\n\n{CARDS['work']}\n\nSent from my iPhone\n\n{NOTICES['en']}\n\n{NOTICES['mailman']}\n"
    for end in range(len(text)):
        assert "".join(text[s.start : s.end] for s in cut(text[:end], (), "", ANN)[0]) == text[:end]


@dataclass
class Unit:
    text: str
    tail: str = ""


HOSTILE = {
    "rules": Unit("__________\n"),
    "rules apart": Unit("__________\n\n"),
    "footers": Unit("__________\nmailing list http://example.org/lists/\n"),
    "notices": Unit("confidential, not the intended recipient, in error, delete this\n\n"),
    "long notice": Unit("confidential intended recipient in error delete this "),
    "phrases": Unit("to unsubscribe click http://example.org\n\n"),
    "devices": Unit("Sent from my iPhone\n\n"),
    "device alone": Unit("\n\nSent from x", "\n\nend"),
    "cards": Unit("Ann Lee\n+1 555 010 0199\nann@example.org\n"),
    "digits": Unit("1 (2) "),
    "digit lines": Unit("1 (2) 3 4 5 6 7\n"),
    "at": Unit("a@"),
    "dots": Unit("a."),
    "bars": Unit("| "),
    "dashes": Unit("--\n"),
    "signoffs": Unit("Thanks,\n"),
    "greetings": Unit("Hi Ann,\n"),
    "banners": Unit("[EXTERNAL]\n\n"),
    "banner words": Unit("CAUTION external mail click "),
    "boxes": Unit("-----\nCAUTION external mail click\n"),
    "pgp": Unit("-----BEGIN PGP SIGNATURE-----\n", "-----END PGP SIGNATURE-----"),
    "blanks": Unit("\n", "Ann"),
    "quotes between": Unit("Thanks,\nAnn\n\n> q\n"),
}


def _seconds(text):
    start = time.process_time()
    cut(text, (), "", ANN)
    return time.process_time() - start


@pytest.mark.parametrize("name", HOSTILE)
def test_four_times_the_text_is_four_times_the_work(name):
    unit = HOSTILE[name]
    linear(lambda text: cut(text, (), "", ANN), lambda n: unit.text * n + unit.tail, 20_000 // len(unit.text))


def test_a_long_text_is_not_searched():
    """Lines far from either end cost what lines cost: the last one decides."""
    middles = ("plain words go here\n" * 50_000, "confidential http://example.org unsubscribe\n" * 25_000)
    taken = [min(_seconds(f"Hi\n\n{middle}\n\n-- \nAnn\n") for _ in range(4)) for middle in middles]
    assert max(taken) < 10 * min(taken) + 0.05


# ---------------------------------------------------------------- words


def test_words_are_in_the_form_they_are_looked_up_in():
    tables = [list(phrases.CLOSING.values())]
    while tables:
        for value in tables.pop():
            if isinstance(value, dict):
                tables.append(value.values())
            elif isinstance(value, list):
                tables.append(value)
            else:
                assert value == value.lower()
                assert value.strip() or not value


def test_each_signoff_of_the_table_is_one():
    assert [w for w in phrases.CLOSING["signoff"]["lines"] if not is_signoff(w + ",")] == []


@pytest.mark.parametrize("blank", ["\r", "\x1c", "\x1f", "\x85", "\u2028", "\x0b"])
def test_a_line_of_nothing_but_odd_blanks_is_no_sign_off(blank: str) -> None:
    """Found by fuzzing: str.split knows more blanks than those that were stripped."""
    text = f"The pump works again.\n{blank}\nAnn Archer\ntel 0123-456789 fax 0123-456789\nann@example.org\n{blank}"
    assert "".join(text[s.start : s.end] for s in cut(text)[0]) == text


@pytest.mark.parametrize(
    ("closing", "card"),
    [
        ("Cordialement,\nÉlodie\n\n", "Élodie Roux, Alder Freight"),
        (
            "Cordialement,\nÉlodie\n\n",
            "Élodie Roux\nAlder Freight\nP.O. Box 12, 00555 Alderton\nTel.: +00 555 123 4567",
        ),
        ("\n", "Élodie Roux, Alder Freight"),
        ("Cordialement,\nÉlodie\n\n", "Directrice\nAlder Freight\n+00 555 123 4567"),
    ],
)
def test_a_first_name_belongs_to_the_sign_off_and_the_card_begins_below_it(closing: str, card: str) -> None:
    own = f"Bonjour,\n\nLe colis part demain.\n\n{closing}"
    segments, _ = cut(own + card, names=("Élodie Roux", "e.roux@alder.example"))
    assert [(s.kind, (own + card)[s.start : s.end]) for s in segments][-1] == ("signature", card)


@pytest.mark.parametrize(
    ("names", "card"),
    [
        (("高橋 空", "sora@alder.example"), "高橋 空\n営業部, Alder"),
        (("思 林", "lin@alder.example"), "林思\n销售部, Alder"),
        (("Rocco D'Este", "r@alder.example"), "Rocco D'Este\nUfficio vendite, Alder"),
    ],
)
def test_a_name_with_a_sign_for_a_word_or_an_apostrophe_opens_a_card(names: tuple[str, str], card: str) -> None:
    text = f"Words that were typed.\n\n{card}"
    segments, _ = cut(text, names=names)
    assert (segments[-1].kind, text[segments[-1].start :]) == ("signature", card)


def test_a_sentence_that_begins_with_the_senders_name_is_no_card() -> None:
    for last in ("Ann Lee, who wrote this", "Ann Lee, Bob, and I.", "Ann Lee,"):
        text = f"Words that were typed.\n\n{last}"
        segments, _ = cut(text, names=("Ann Lee", "ann@alder.example"))
        assert not [s for s in segments if s.kind == "signature"], last


@pytest.mark.parametrize("blank", ["\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\u2028", "\u3000"])
def test_a_field_of_nothing_but_odd_blanks_says_nothing(blank: str) -> None:
    assert evidence(f"_{blank}*") == evidence(blank) == 0
    kinds(f"Hello\n\nAnn\nann@example.org\n{'_' * 30}{blank}\t--a--{blank}| 1 {blank}| x@example.org", ANN)
