"""Texts of other languages in Latin letters are refused, and English ones never are, whatever they are full of."""

from __future__ import annotations

import pytest

from serving.backends.tokenizer import language, reading
from serving.backends.tokenizer.language import is_foreign
from serving.runtime import ROOT

DATA = ROOT.parent / "shared" / "data"
FOREIGN = {
    "German": "Die alte Brücke über den Hafen wird im Juni für Reparaturen geschlossen, sagte die Stadt am Montag.",
    "Dutch": "De oude brug over de haven gaat in juni dicht voor herstel, zei de stad op maandag. Het duurt een jaar.",
    "Swedish": "Den gamla bron över hamnen stängs i juni för reparationer, sade staden på måndagen.",
    "French": "Le vieux pont sur le port sera fermé en juin pour des réparations, a annoncé la ville lundi.",
    "Spanish": "El viejo puente sobre el puerto cerrará en junio por reparaciones, dijo la ciudad el lunes.",
    "Portuguese": "A velha ponte sobre o porto vai fechar em junho para obras, disse a cidade na segunda-feira.",
    "Italian": "Il vecchio ponte sul porto chiuderà a giugno per lavori, ha detto la città, fino alla fine.",
    "Romanian": "Podul vechi peste port va fi închis în iunie pentru reparații, a anunțat orașul luni. Și nu mai mult.",
    "Polish": "Stary most nad portem zostanie zamknięty w czerwcu z powodu remontu, a sklepy nie są zadowolone.",
    "Czech": "Starý most přes přístav bude v červnu uzavřen kvůli opravám, a obchody se bojí o své zákazníky.",
    "Finnish": "Vanha silta sataman yli suljetaan kesäkuussa korjausten vuoksi, mutta kauppiaat eivät ole tyytyväisiä.",
    "Hungarian": "A kikötő feletti régi hidat júniusban javítás miatt lezárják, közölte a város, és ez egy évig tart.",
    "Turkish": "Eski köprü için belediye dedi: bu çok daha iyi olacak, ve bir gün herkes sevinecek gibi.",
    "Indonesian": "Jembatan tua di atas pelabuhan akan ditutup pada bulan Juni untuk perbaikan, kata kota itu.",
    "Vietnamese": "Cây cầu cũ bắc qua cảng sẽ đóng cửa vào tháng Sáu để sửa chữa, và các cửa hàng không vui.",
    "Welsh": "Mae hen bont yr harbwr yn cau ym mis Mehefin, ac mae siopau wedi dweud eu bod yn poeni gyda hyn.",
}
ENGLISH = {
    "names": "Los Angeles, Las Vegas, El Paso: Robert De Niro, Charles de Gaulle, Los Lobos, Ursula von der Leyen",
    "a quotation": 'The minister said "la vie est belle" and left for the city of La Paz, where she had been before.',
    "abbreviations": "U.S. Marines End Afghan Operations. U.S. Women's Soccer Beats China 1-0, Advances To Semis USA!",
    "results": "Arsenal 2 Chelsea 1; Real Madrid 0 Barcelona 0; Inter Milan 3 Roma 1; Ajax 2 PSV 2; Porto 1 Benfica 0",
    "a short headline": "La Liga: Real Madrid, Barcelona",
    "a word of others too": "Monday fog, 12C. Tuesday fog, 11C. Wednesday fog, 9C. Thursday fog. Friday rain.",
    "headlines": "Health care spending rises. Child care subsidies expand. Primary care shortages. Elderly care.",
    "addresses": "Sources: bbc.com, cnn.com, nytimes.com, reuters.com, guardian.com, washingtonpost.com, b.com",
    "a line-up": "Netherlands: Verbruggen; Dumfries, de Vrij, van Dijk, Blind; de Jong, Schouten; de Ligt, van de Ven",
    "a list": "Flour, sugar, butter, eggs, milk, salt, yeast, honey, cinnamon, vanilla, almonds, raisins, apples",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_text_of_another_language_is_refused(name: str) -> None:
    reason = reading.why_unreadable(f"{FOREIGN[name]} {FOREIGN[name]}")
    assert reason is not None
    assert "another language" in reason


@pytest.mark.parametrize("kind", ENGLISH)
def test_an_english_text_is_read(kind: str) -> None:
    assert reading.why_unreadable(ENGLISH[kind]) is None


@pytest.mark.parametrize("name", ["category_unseen", "veracity"])
def test_articles_are_read(name: str) -> None:
    path = DATA / f"{name}.parquet"
    if not path.is_file():
        pytest.skip(f"{name}.parquet is not there: users have no such collection")
    texts = pytest.importorskip("pandas").read_parquet(path)["text"].astype(str)[:4000]
    # Some collections hold a French or Spanish article in a thousand.
    assert sum(map(is_foreign, texts)) <= len(texts) / 1000


def test_no_word_is_in_both_sets() -> None:
    assert language._ENGLISH.isdisjoint(language._FOREIGN)


@pytest.mark.parametrize("other", ["\u0436", "\ufffd", "\u4e2d"])
def test_half_of_the_letters_may_be_of_other_alphabets(other: str) -> None:
    english = "The goal won a match. "
    letters = sum(map(str.isalpha, english))
    assert reading.why_unreadable(english + letters * other) is None
    # Signs are no letters, and accents make no other alphabet.
    assert reading.why_unreadable(english + letters * other + letters * "\u20ac") is None
    assert reading.why_unreadable("\u00e9" * 2 * letters + letters * other) is None
    assert "cannot be read" in str(reading.why_unreadable(english + (letters + 1) * other))
