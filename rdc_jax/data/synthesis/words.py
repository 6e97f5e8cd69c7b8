"""Random text in several languages: common words in random order, with punctuation."""

import functools
from typing import NamedTuple

import numpy as np

from rdc_jax.data.synthesis.draws import between, chance, pick

_MARKS = ".,:;!?()-0123456789%"


class Language(NamedTuple):
    """The words and rules of a language.

    Attributes:
        words: Words, common ones first.
        joiner: Text between two words.
        stop: Mark at the end of a sentence.
        comma: Mark inside a sentence.
        leftwards: True if the language is written from right to left. The letters of its words are
            stored in visual order.
        capitals: True if the language has capital letters.
    """

    words: tuple[str, ...]
    joiner: str = " "
    stop: str = "."
    comma: str = ","
    leftwards: bool = False
    capitals: bool = True

    @property
    def letters(self) -> set[int]:
        """Code points that a font must have."""
        text = " ".join(self.words) + _MARKS + self.stop + self.comma
        return set(map(ord, text + (text.title() + text.upper() if self.capitals else "")))


def _language(text: str, **how) -> Language:
    return Language(tuple(text.split()), **how)


LANGUAGES = {
    "English": _language(
        "the of and to in is that it for was on are with as be this have from or one had by but "
        "not what all were we when your can there use each which how their if will up other "
        "about out many then them these so some her would make like him into time has look two "
        "more write go see number no way could people than first water been called who oil its "
        "now find long down day did get come made may part over sound take only little work know "
        "place year live back give most very after thing our just name good sentence think say "
        "great where help through much before line right too mean old any same tell follow came "
        "want show also around farm three small set put end does another well large must big "
        "even such because turn here why ask went men read need land different home move try "
        "kind hand picture again change spell air away animal house point page letter mother "
        "answer found measurement temperature development quarterly approximately environment "
        "responsibility"
    ),
    "German": _language(
        "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch "
        "es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über "
        "einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde sei Prozent "
        "hatte kann gegen vom können schon wenn habe seine Mark ihre dann unter wir soll ich "
        "eines Jahr zwei Jahren diese dieser wieder keine Uhr seiner worden will zwischen immer "
        "Millionen Straße Größe Möglichkeit Geschwindigkeitsbegrenzung Veröffentlichung Übung "
        "Bürgermeister schließen"
    ),
    "French": _language(
        "le de un à être et en avoir que pour dans ce il qui ne sur se pas plus pouvoir par je "
        "avec tout faire son mettre autre on mais nous comme ou si leur y dire elle devoir avant "
        "deux même prendre aussi celui donner bien où fois vous encore nouveau aller cela entre "
        "premier vouloir déjà grand mon me moins aucun lui temps très savoir falloir voir "
        "quelque sans raison notre dont non an monde jour monsieur demander alors après trouver "
        "personne rendre œuvre façon élève théâtre château forêt développement environnement "
        "aujourd'hui"
    ),
    "Spanish": _language(
        "de la que el en y a los se del las un por con no una su para es al lo como más o pero "
        "sus le ha me si sin sobre este ya entre cuando todo esta ser son dos también fue había "
        "era muy años hasta desde está mi porque qué sólo han yo hay vez puede todos así nos ni "
        "parte tiene él uno donde bien tiempo mismo ese ahora cada vida otro después niño mañana "
        "corazón información desarrollo pequeño años señor español"
    ),
    "Polish": _language(
        "w i na z do się nie że jest to o po jak od za ale przez co dla czy tylko oraz jego "
        "który być są także ten ma tym tego już może był jednak przed sobie więc bardzo roku lat "
        "pan wszystko teraz kiedy ludzie życie dzień miasto źródło żółty gęś ślad ćma świat "
        "człowiek również odpowiedź przedsiębiorstwo szczęście niepodległość łódź"
    ),
    "Vietnamese": _language(
        "và của là có được trong cho một các người không với những này đã khi từ đến về ra như "
        "để năm tại nhiều cũng theo còn sau vào trên hơn phải nước đó làm ngày việc đi lại thì "
        "nhưng sự ở tôi nhà học thành phố thế giới phát triển kinh tế chính phủ quốc gia đường "
        "trường nghiên cứu tiếng Việt buổi sáng mưa nắng"
    ),
    "Russian": _language(
        "и в не на я быть он с что а по это она этот к но они мы весь который из у который то за "
        "свой что её так год же от такой для ты мочь все до человек время если другой сказать "
        "день наш два дело вот жизнь большой рука новый стать работа знать слово город место "
        "лицо друг глаз вопрос дом сторона страна мир случай ребёнок голова вид объект съезд "
        "электричество правительство возможность общественный здравствуйте"
    ),
    "Greek": _language(
        "και το να του η της με για την από που στο είναι ο τα δεν θα μια οι στη τους ένα έχει "
        "των αλλά όπως μας μετά πολύ αυτό κάθε πρώτη χρόνια άνθρωπος ημέρα κόσμος ζωή πόλη "
        "θάλασσα σήμερα ώρα εδώ μεγάλο μικρό καλό νέο νερό σπίτι δρόμος γλώσσα ιστορία ανάπτυξη "
        "ψυχή ξένος"
    ),
    "Georgian": _language(
        "და არის რომ ეს არ იყო მაგრამ ასე როგორც ყველა უნდა კი თუ რა მე შენ ის ჩვენ თქვენ დღეს "
        "წელი ქალაქი სახლი წყალი ადამიანი ცხოვრება დრო დიდი პატარა ახალი ძველი კარგი მთა ზღვა "
        "წიგნი სიტყვა ქვეყანა ისტორია მეგობარი",
        capitals=False,
    ),
    "Armenian": _language(
        "և է որ մեջ համար այս չի ինչ բայց նա մի իր ես դու մենք դուք նրանք տարի օր քաղաք տուն "
        "ջուր մարդ կյանք ժամանակ մեծ փոքր նոր հին լավ սար ծով գիրք խոսք երկիր պատմություն ընկեր "
        "աշխարհ"
    ),
    "Hebrew": _language(
        # Visual order: letters from left to right, as they are drawn.
        "לש תא לע אל הז אוה םע יכ לכ םג וא רמא המ היה רתוי קר ןיב םוי הנש ריע תיב םימ םדא םייח "
        "ןמז לודג ןטק שדח ןשי בוט רה םי רפס הלימ ץרא הירוטסיה רבח םלוע רקוב ברע בוחר הדובע",
        leftwards=True,
    ),
    "Japanese": _language(
        "の に は を た が で て と し れ さ ある いる も する から な こと として い や など "
        "なっ ない この ため その あっ よう また もの という あり まで られ なる へ か だ これ "
        "によって により おり より による ず なり 時間 今日 世界 日本 東京 画像 写真 新しい "
        "大きい 小さい 水 山 川 人 本 データ コンピュータ テキスト 学校",
        joiner="", stop="。", comma="、",
    ),
    "Chinese": _language(
        "的 一 是 不 了 人 我 在 有 他 这 中 大 来 上 国 个 到 说 们 为 子 和 你 地 出 道 也 时 "
        "年 得 就 那 要 下 以 生 会 自 着 去 之 过 家 学 对 可 她 里 后 小 么 心 多 天 而 能 好 "
        "都 然 没 日 于 起 还 发 成 事 只 作 当 想 看 文 无 开 手 十 用 主 行 方 又 如 前 所 本 "
        "见 经 头 面 公 同 三 已 老 从 动 两 长 图像 质量 压缩",
        joiner="", stop="。", comma="，",
    ),
    "Korean": _language(
        "이 그 저 것 수 등 및 더 한 할 하는 있는 없는 있다 한다 그리고 그러나 또한 때문에 우리 "
        "사람 오늘 시간 세계 한국 서울 사진 그림 물 산 강 책 학교 새로운 작은 큰 좋은 말 나라 "
        "역사 친구 도시 집 정보 문서"
    ),
}  # fmt: skip


def word(rng: np.random.Generator, language: str) -> str:
    """Returns a random word. Common words are more likely."""
    words = LANGUAGES[language].words
    return words[int(len(words) * rng.random() ** 1.7)]


def sentence(rng: np.random.Generator, language: str, least: int = 4, most: int = 18) -> list[str]:
    """Returns the words of a random sentence, each with its punctuation.

    Args:
        rng: Source of all randomness.
        language: A key of LANGUAGES.
        least: Smallest number of words.
        most: Largest number of words.
    """
    how, count = LANGUAGES[language], between(rng, least, most)
    words = [word(rng, language) for _ in range(count)]
    if how.capitals:
        words[0] = words[0].capitalize()
    for i in range(1, count - 1):
        if chance(rng, 0.08):
            words[i] = _attached(how, words[i], how.comma)
        elif chance(rng, 0.025):
            words[i] = pick(rng, (f"{between(rng, 2, 2030)}", f"{rng.uniform(0, 99):.1f}%"))
        elif chance(rng, 0.02):
            words[i] = f"({words[i]})"
    words[-1] = _attached(how, words[-1], how.stop if chance(rng, 0.9) else "?")
    return words[::-1] if how.leftwards else words


def paragraph(rng: np.random.Generator, language: str, count: int) -> list[str]:
    """Returns the words of complete sentences, at least `count` words."""
    words: list[str] = []
    while len(words) < count:
        words += sentence(rng, language)
    return words


def title(rng: np.random.Generator, language: str, least: int = 1, most: int = 6) -> str:
    """Returns a few words for a heading, a button or a menu.

    Args:
        rng: Source of all randomness.
        language: A key of LANGUAGES.
        least: Smallest number of words.
        most: Largest number of words.
    """
    words = [word(rng, language) for _ in range(between(rng, least, most))]
    how, style = LANGUAGES[language], rng.random()
    if how.capitals:
        words = [w.capitalize() if i == 0 or style < 0.3 else w for i, w in enumerate(words)]
    text = how.joiner.join(words)
    return text.upper() if how.capitals and style > 0.85 else text


@functools.cache
def identifiers() -> tuple[str, ...]:
    """Returns the English words that can be part of a variable name."""
    return tuple(w for w in LANGUAGES["English"].words if w.isalpha() and len(w) > 2)


def identifier(rng: np.random.Generator, style: str = "snake") -> str:
    """Returns a random identifier in the style "snake", "camel", "Pascal" or "kebab"."""
    parts = [pick(rng, identifiers()) for _ in range(between(rng, 1, 3))]
    if style == "camel":
        return parts[0] + "".join(p.capitalize() for p in parts[1:])
    if style == "Pascal":
        return "".join(p.capitalize() for p in parts)
    return ("-" if style == "kebab" else "_").join(parts)


def _attached(how: Language, text: str, mark: str) -> str:
    return mark + text if how.leftwards else text + mark
