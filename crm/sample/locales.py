"""Where the invented people of the sample live and what they may be called; data only.

Names are written as `native=ascii`, the second half being what their e-mail address is made of. Streets say in their
own language that they are examples; the cities are real, so that regions and postal codes look as they should.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A city with what an address there needs; `region` may be empty."""

    city: str
    region: str
    postal_code: str


@dataclass(frozen=True, slots=True)
class Locale:
    """One language in one country.

    Attributes:
        tag: BCP 47.
        country: ISO 3166-1 alpha-2.
        currency: What people there pay in.
        first: First names.
        last: Last names.
        street: With a place for the house number.
        places: Where addresses are.
        weight: How many of the sample live there, relative to the others; the shop is a British one.
        family_first: Whether a full name begins with the last name.
    """

    tag: str
    country: str
    currency: str
    first: tuple[str, ...]
    last: tuple[str, ...]
    street: str
    places: tuple[Place, ...]
    weight: int = 1
    family_first: bool = False


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LOCALES = (
    Locale(
        "en-GB",
        "GB",
        "GBP",
        _names("Imogen=imogen Rhys=rhys Siân=sian Alasdair=alasdair Niamh=niamh Tobias=tobias"),
        _names("Pemberley=pemberley O’Quillan=oquillan Wexford-Hale=wexford-hale Brontë=bronte Tamsworth=tamsworth"),
        "{n} Example Road",
        (Place("Leeds", "West Yorkshire", "LS1 4AP"), Place("Cardiff", "", "CF10 1EP"), Place("Leith", "", "EH6 6QW")),
        weight=6,
    ),
    Locale(
        "en-US",
        "US",
        "USD",
        _names("Marlowe=marlowe Dashiell=dashiell Anaïs=anais Wren=wren Ezekiel=ezekiel"),
        _names("Fairbanks=fairbanks Nuñez-Cole=nunez-cole Lindqvist=lindqvist Abernathy=abernathy Okonkwo=okonkwo"),
        "{n} Sample Avenue",
        (Place("Portland", "OR", "97205"), Place("Ann Arbor", "MI", "48104"), Place("Savannah", "GA", "31401")),
        weight=2,
    ),
    Locale(
        "de-DE",
        "DE",
        "EUR",
        _names("Jörg=joerg Käthe=kaethe Friederike=friederike Björn=bjoern Änne=aenne"),
        _names("Müßig=muessig Größenwahl=groessenwahl Beispielmann=beispielmann Döring=doering Weißhaupt=weisshaupt"),
        "Musterstraße {n}",
        (Place("Köln", "Nordrhein-Westfalen", "50667"), Place("Lübeck", "", "23552"), Place("Görlitz", "", "02826")),
        weight=2,
    ),
    Locale(
        "fr-FR",
        "FR",
        "EUR",
        _names("Amélie=amelie Loïc=loic Zoé=zoe François=francois Maëlle=maelle"),
        _names("Lefèvre=lefevre Béranger=beranger D’Œuvray=doeuvray Garçon=garcon Noël=noel"),
        "{n} rue de l’Exemple",
        (Place("Nîmes", "Occitanie", "30000"), Place("Saint-Étienne", "", "42000")),
        weight=2,
    ),
    Locale(
        "es-ES",
        "ES",
        "EUR",
        _names("Íñigo=inigo Begoña=begona Martín=martin Inés=ines"),
        _names("Peñalver=penalver Ibáñez=ibanez Güell=guell Cigüeña=ciguena"),
        "Calle del Ejemplo, {n}",
        (Place("A Coruña", "Galicia", "15003"), Place("Cádiz", "Andalucía", "11005")),
    ),
    Locale(
        "pl-PL",
        "PL",
        "EUR",
        _names("Łucja=lucja Bożena=bozena Zdzisław=zdzislaw Grażyna=grazyna"),
        _names("Wiśniewiecka=wisniewiecka Źrebak=zrebak Gąsior=gasior Żółtowski=zoltowski"),
        "ul. Przykładowa {n}",
        (Place("Łódź", "łódzkie", "90-001"), Place("Gdańsk", "", "80-001")),
    ),
    Locale(
        "sv-SE",
        "SE",
        "EUR",
        _names("Åsa=asa Göran=goran Märta=marta Søren=soren"),
        _names("Öberg=oberg Ålund=alund Björkqvist=bjorkqvist Skärgård=skargard"),
        "Exempelgatan {n}",
        (Place("Malmö", "", "211 20"), Place("Östersund", "", "831 30")),
    ),
    Locale(
        "uk-UA",
        "UA",
        "EUR",
        _names("Соломія=solomiia Тарас=taras Юлія=yuliia Євген=yevhen Їлля=yillia"),
        _names("Прикладенко=prykladenko Щербина=shcherbyna Ґонта=gonta Журавель=zhuravel"),
        "вул. Прикладна, {n}",
        (Place("Львів", "Львівська область", "79000"), Place("Одеса", "", "65000")),
    ),
    Locale(
        "bg-BG",
        "BG",
        "EUR",
        _names("Живко=zhivko Цветелина=tsvetelina Ясен=yasen"),
        _names("Примеров=primerov Щърков=shtarkov Ънева=aneva"),
        "ул. Примерна {n}",
        (Place("Пловдив", "", "4000"), Place("Русе", "", "7000")),
    ),
    Locale(
        "el-GR",
        "GR",
        "EUR",
        _names("Ελένη=eleni Οδυσσέας=odysseas Μυρτώ=myrto Άγγελος=angelos"),
        _names("Παραδειγματάκης=paradeigmatakis Ξυλούρη=xylouri Ψαράς=psaras Ωραιόπουλος=oraiopoulos"),
        "Οδός Παραδείγματος {n}",
        (Place("Ηράκλειο", "Κρήτη", "712 02"), Place("Θεσσαλονίκη", "", "546 24")),
    ),
    Locale(
        "ja-JP",
        "JP",
        "JPY",
        _names("さくら=sakura 健太=kenta 美咲=misaki 蓮=ren ゆうき=yuuki"),
        _names("見本=mihon 例山=reiyama 髙橋=takahashi 渡邉=watanabe 五十嵐=igarashi"),
        "見本町{n}番地",
        (Place("札幌市", "北海道", "060-0001"), Place("長崎市", "長崎県", "850-0033")),
        family_first=True,
    ),
    Locale(
        "zh-TW",
        "TW",
        "USD",
        _names("怡君=yijun 志豪=zhihao 雅婷=yating 冠宇=guanyu"),
        _names("范例=fanli 歐陽=ouyang 鄧=deng 蘇=su"),
        "範例路{n}號",
        (Place("中西區", "臺南市", "700"), Place("花蓮市", "花蓮縣", "970")),
        family_first=True,
    ),
    Locale(
        "ar-KW",
        "KW",
        "KWD",
        _names("ليلى=layla يوسف=yousef نورة=noura طارق=tareq"),
        _names("المثالي=almithali الرشيدي=alrashidi العوضي=alawadhi القناعي=alqinai"),
        "شارع المثال {n}",
        (Place("مدينة الكويت", "", "13001"), Place("حولي", "", "30000")),
    ),
)
