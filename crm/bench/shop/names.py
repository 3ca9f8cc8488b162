"""What people are called in thirteen languages, and telephone numbers that nobody has; data only.

Names stand in the order of their frequency, as `native=ascii` where the two differ. The long tail of last names is put
together from beginnings and endings. Telephone numbers are of ranges that regulators keep for fiction (Ofcom, ARCEP,
Bundesnetzagentur, PTS, NANPA's 555-0100 to 555-0199); countries without such a range lend one of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Name = tuple[str, str]
"""As it is written, and in ASCII for the e-mail address."""


@dataclass(frozen=True, slots=True)
class Names:
    """What people are called in one language.

    Attributes:
        first: First names, the most frequent first.
        last: Last names, the same.
        beginnings: Of last names that few have.
        endings: What these go on with.
    """

    first: tuple[Name, ...]
    last: tuple[Name, ...]
    beginnings: tuple[Name, ...]
    endings: tuple[Name, ...]


def _names(text: str) -> tuple[Name, ...]:
    pairs = (word.partition("=") for word in text.split())
    return tuple((native, ascii_ or native.lower()) for native, _, ascii_ in pairs)


def _of(first: str, last: str, beginnings: str, endings: str) -> Names:
    return Names(_names(first), _names(last), _names(beginnings), _names(endings))


#: By the tags of ``crm.sample.locales``.
NAMES: Final = {
    "en-GB": _of(
        "Oliver James Emily Jack Sarah Thomas Olivia David Amelia Daniel Sophie Harry Jessica Charlie Emma George "
        "Lucy William Grace Joseph Chloe Samuel Hannah Henry Ella Matthew Charlotte Benjamin Megan Alexander Katie "
        "Edward Isla Adam Eleanor Mohammed Freya Luke Ruby Callum Poppy Rhys Niamh=niamh Siân=sian Alasdair Imogen "
        "Zoë=zoe Anne-Marie=annemarie Euan Bronwen Tobias Priya Gareth Fiona Hamish Aoife Seán=sean Orla Rupert "
        "Winifred",
        "Smith Jones Williams Taylor Brown Davies Evans Wilson Thomas Johnson Roberts Walker Wright Robinson "
        "Thompson White Hughes Edwards Green Hall Wood Harris Lewis Martin Jackson Clarke Clark Turner Hill Scott "
        "Cooper Morris Ward Moore King Watson Baker Harrison Morgan Patel Young Allen Mitchell James Anderson "
        "Phillips Lee Bell Khan O’Brien=obrien Begum Campbell MacDonald=macdonald Stewart Ahmed Murphy Kelly Singh "
        "O'Neill=oneill Hussain",
        "Ash Black Brad Bur Car Cliff Dal East Elm Farn Glad Hal Har Hart Hol Ken Lang Mal Mid New Nor Oak Pem Rad "
        "Red Shel South Stan Stour Thorn Wal West Whit Win Wood Wyn",
        "bourne bridge burn bury by combe cote dale den don field ford gate ham hurst land ley man more ney shaw "
        "stead stone thorpe ton well wick wood worth",
    ),
    "en-US": _of(
        "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan "
        "Joseph Jessica Thomas Karen Christopher Sarah Charles Lisa Daniel Nancy Matthew Sandra Anthony Ashley Mark "
        "Emily Donald Kimberly Steven Michelle Andrew Carol Joshua Amanda Kenneth Melissa Kevin José=jose Brian "
        "Maria Tyler Jasmine Brandon Guadalupe Ethan Nevaeh DeShawn Xiomara Zachary Imani Wyatt Anaïs=anais Ezekiel "
        "Wren Dashiell",
        "Smith Johnson Williams Brown Jones Garcia=garcia Miller Davis Rodriguez=rodriguez Martinez Hernandez Lopez "
        "Gonzalez Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark "
        "Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson "
        "Baker Hall Rivera Campbell Mitchell Carter Roberts Gómez=gomez Phillips Evans Turner Díaz=diaz Parker Cruz "
        "Edwards",
        "Ab Al Ander Ben Brook Buck Cal Craw Cun Dun Eller Fair Gar Grif Ham Hen Jef Kirk Lan Linden Mc Mont Nich "
        "Ox Pat Rey Row Sand Sher Stan Sul Tuck Van Wal Whit Wil",
        "berg beth combs cott dale dorf er ers field fin ford gren ham kins land ley lin man mer nolds quist ridge "
        "ros sen ski son stein strom ston ter vale ville well",
    ),
    "de-DE": _of(
        "Peter Anna Michael Maria Thomas Sabine Andreas Julia Stefan Katharina Christian Laura Wolfgang Monika "
        "Klaus Jürgen=juergen Lena Markus Ursula Hans Lea Daniel Petra Martin Sophie Jan Claudia Alexander Birgit "
        "Tobias Jörg=joerg Käthe=kaethe Björn=bjoern Friederike Lukas Hannah Felix Mia Karl-Heinz=karlheinz "
        "Änne=aenne Günther=guenther Jonas Emilia Paul Leonie Sören=soeren Annegret Götz=goetz Heike Uwe Silke "
        "Yasemin Mehmet",
        "Müller=mueller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer=schaefer Koch "
        "Bauer Richter Klein Wolf Schröder=schroeder Neumann Schwarz Zimmermann Braun Krüger=krueger Hofmann "
        "Hartmann Lange Schmitt Werner Schmitz Krause Meier Lehmann Schmid Schulze Maier Köhler=koehler Herrmann "
        "König=koenig Walter Mayer Huber Kaiser Fuchs Peters Lang Scholz Möller=moeller Weiß=weiss Jung Hahn "
        "Schubert Vogel Friedrich Keller Günther=guenther Frank Berger Winkler Roth Beck Lorenz Baumann "
        "Yılmaz=yilmaz Nguyen Kowalski",
        "Alt Bach Berg Birken Blumen Brand Eich Eisen Felden Fink Gold Grün=gruen Hagen Heid Herz Hohen Kirch Klee "
        "Linden Löwen=loewen Mühl=muehl Nuss Ober Rauten Reh Rosen Roß=ross Sand Schön=schoen Silber Stein Stern "
        "Tannen Unter Wald Weiden Winter Wolfs Zucker",
        "acker au bacher baum beck berger bichler brecht dorfer eder egger feld fels garten haus heimer hofer holz "
        "huber kamp kamm kötter=koetter lechner mann mayr müller=mueller reiter rieder schmid stein taler wieser "
        "winkler",
    ),
    "fr-FR": _of(
        "Marie Jean Pierre Camille Michel Nathalie Nicolas Isabelle Philippe Léa=lea Julien Sophie "
        "François=francois Céline=celine Louis Julie Thomas Chloé=chloe Antoine Manon Guillaume Émilie=emilie Hugo "
        "Aurélie=aurelie Lucas Sandrine Alexandre Amélie=amelie Jean-Pierre=jeanpierre Zoé=zoe Loïc=loic "
        "Maëlle=maelle Yannick Inès=ines Rémi=remi Anne-Sophie=annesophie Gaël=gael Noémie=noemie Benoît=benoit "
        "Bérénice=berenice Karim Fatoumata Cédric=cedric Élodie=elodie",
        "Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon Michel Lefebvre Leroy Roux "
        "David Bertrand Morel Fournier Girard Bonnet Dupont Lambert Fontaine Rousseau Vincent Muller "
        "Lefèvre=lefevre Faure André=andre Mercier Blanc Guérin=guerin Boyer Garnier Chevalier François=francois "
        "Legrand Gauthier Garcia Perrin Robin Clément=clement Morin Nicolas Henry Roussel Mathieu Gautier Masson "
        "Marchand Duval Denis Dumont Le=le Noël=noel Diallo Benoît=benoit",
        "Beau Bois Bon Bour Bre Car Champ Char Clair Cor Dela Des Du Fau Fon Gar Gran Hau La Le Lon Ma Mar Mon Mont "
        "Per Pré=pre Ro Sau Ser Tour Val Ver Vil",
        "bard bert champ court dier doux eau elle ette fort gnard guet ières=ieres in jean lac lain mart nay net "
        "neuf on pierre quet rand rel rier sac sard teau tier ton val villier",
    ),
    "es-ES": _of(
        "María=maria Antonio Carmen José=jose Ana Manuel Laura Francisco Isabel David Cristina Juan Marta Javier "
        "Lucía=lucia Daniel Elena Carlos Pilar Jesús=jesus Paula Alejandro Rosa Miguel Sara Rafael Raquel Pablo "
        "Beatriz Ángel=angel Nuria Sergio Begoña=begona Íñigo=inigo Martín=martin Inés=ines Álvaro=alvaro "
        "Sofía=sofia Iker Rocío=rocio Jordi Montserrat",
        "García=garcia Rodríguez=rodriguez González=gonzalez Fernández=fernandez López=lopez Martínez=martinez "
        "Sánchez=sanchez Pérez=perez Gómez=gomez Martín=martin Jiménez=jimenez Ruiz Hernández=hernandez Díaz=diaz "
        "Moreno Muñoz=munoz Álvarez=alvarez Romero Alonso Gutiérrez=gutierrez Navarro Torres Domínguez=dominguez "
        "Vázquez=vazquez Ramos Gil Ramírez=ramirez Serrano Blanco Molina Morales Suárez=suarez Ortega Delgado "
        "Castro Ortiz Rubio Marín=marin Sanz Núñez=nunez Iglesias Peña=pena",
        "Alba Arri Bar Bel Bena Cala Cam Cas Cede Echa Fuen Gala Gara Gui Herre Iba Lla Mal Men Mira Mon Nava Oli "
        "Para Peña=pena Qui Ribe Rosa Sala Sando Tala Ugar Val Villa Zaba Zubi",
        "balles bao cedo cera ches dondo drón=dron gallo garay gosa lba lejo mendi món=mon nares ndez nera ño=no "
        "quer rra rria rroso seda sola tegui teira tero valle verde vides zábal=zabal",
    ),
    "pl-PL": _of(
        "Anna Piotr Maria Krzysztof Katarzyna Andrzej Małgorzata=malgorzata Tomasz Agnieszka Jan Barbara "
        "Paweł=pawel Ewa Michał=michal Krystyna Marcin Magdalena Jakub Elżbieta=elzbieta Adam Joanna Łukasz=lukasz "
        "Aleksandra Grzegorz Zofia Mateusz Bożena=bozena Wojciech Grażyna=grazyna Zdzisław=zdzislaw Łucja=lucja "
        "Stanisław=stanislaw Żaneta=zaneta Świętosław=swietoslaw",
        "Nowak Kowalski Wiśniewski=wisniewski Wójcik=wojcik Kowalczyk Kamiński=kaminski Lewandowski "
        "Zieliński=zielinski Szymański=szymanski Woźniak=wozniak Dąbrowski=dabrowski Kozłowski=kozlowski Jankowski "
        "Mazur Wojciechowski Kwiatkowski Krawczyk Kaczmarek Piotrowski Grabowski Zając=zajac Pawłowski=pawlowski "
        "Michalski Król=krol Wieczorek Jabłoński=jablonski Wróbel=wrobel Nowakowski Majewski Olszewski "
        "Stępień=stepien Malinowski Jaworski Adamczyk Dudek Nowicki Pawlak Górski=gorski Witkowski Sikora Walczak",
        "Bara Biał=bial Bor Brzoz Chmiel Czar Dęb=deb Dobr Gąs=gas Głow=glow Jagiel Jarz Kal Klon Krasn Lip Łuk=luk "
        "Makow Mil Niem Orzech Ostr Pias Rad Rybar Sad Sosn Stok Świer=swier Topol Trzc Wąs=was Wilcz Zwierz "
        "Źród=zrod Żak=zak",
        "ak anek arek arski czyk ecki ek elski erka ewicz icki iec iński=inski iuk ka kiewicz nik ny och oń=on "
        "orski ow owicz owiec owski ski szczyk ura usz uta yński=ynski",
    ),
    "sv-SE": _of(
        "Anna Erik Maria Lars Eva Karl Kristina Anders Karin Johan Sara Per Emma Nils Lena Mikael Ingrid Jan Elin "
        "Björn=bjorn Åsa=asa Göran=goran Märta=marta Sören=soren Linnéa=linnea Håkan=hakan Gunilla Östen=osten Maja "
        "Oskar Saga Elias",
        "Andersson Johansson Karlsson Nilsson Eriksson Larsson Olsson Persson Svensson Gustafsson Pettersson "
        "Jonsson Jansson Hansson Bengtsson Jönsson=jonsson Lindberg Jakobsson Magnusson Lindström=lindstrom "
        "Olofsson Lindqvist Lindgren Berg Axelsson Bergström=bergstrom Lundberg Lind Lundgren Lundqvist Mattsson "
        "Berglund Fredriksson Sandberg Henriksson Sjöberg=sjoberg Öberg=oberg Ålund=alund Håkansson=hakansson Ali "
        "Mohamed",
        "Ahl Björk=bjork Blom Bo Ceder Dahl Edel Ek En Fors Fager Gran Hag Hede Hjort Holm Hög=hog Kling Lilje "
        "Löf=lof Malm Moss Ny Ros Rönn=ronn Sand Sjö=sjo Skog Sten Söder=soder Thun Vester Wall Åker=aker Älv=alv "
        "Öst=ost",
        "berg bergh blad blom borg by dahl ell en fält=falt feldt gren gård=gard hag hammar hielm holm ing kvist "
        "löf=lof lund man mark näs=nas qvist rot sköld=skold stedt strand ström=strom vall wall",
    ),
    "uk-UA": _of(
        "Олександр=oleksandr Олена=olena Сергій=serhii Наталія=nataliia Андрій=andrii Ірина=iryna "
        "Володимир=volodymyr Тетяна=tetiana Юрій=yurii Світлана=svitlana Дмитро=dmytro Оксана=oksana Іван=ivan "
        "Марія=mariia Микола=mykola Юлія=yuliia Тарас=taras Соломія=solomiia Євген=yevhen Ганна=hanna Богдан=bohdan "
        "Людмила=liudmyla Їлля=yillia Мар'яна=mariana",
        "Мельник=melnyk Шевченко=shevchenko Бойко=boiko Коваленко=kovalenko Бондаренко=bondarenko "
        "Ткаченко=tkachenko Ковальчук=kovalchuk Кравченко=kravchenko Олійник=oliinyk Шевчук=shevchuk Коваль=koval "
        "Поліщук=polishchuk Бондар=bondar Ткачук=tkachuk Мороз=moroz Марченко=marchenko Лисенко=lysenko "
        "Руденко=rudenko Савченко=savchenko Петренко=petrenko Кравчук=kravchuk Ґонта=gonta Щербина=shcherbyna",
        "Бур=bur Вов=vov Гай=hai Гон=hon Дуб=dub Жур=zhur Зор=zor Кал=kal Коз=koz Лев=lev Лис=lys Мак=mak Нес=nes "
        "Орл=orl Пал=pal Рад=rad Сад=sad Сом=som Тим=tym Хом=khom Чер=cher Шап=shap Яв=yav",
        "ак=ak аненко=anenko арук=aruk атюк=atiuk ебний=ebnyi евич=evych ець=ets енко=enko ило=ylo инюк=yniuk "
        "ичук=ychuk ко=ko ник=nyk ович=ovych овський=ovskyi орук=oruk оцький=otskyi ський=skyi ук=uk ченко=chenko",
    ),
    "bg-BG": _of(
        "Георги=georgi Мария=maria Иван=ivan Елена=elena Димитър=dimitar Иванка=ivanka Николай=nikolay "
        "Йорданка=yordanka Петър=petar Пенка=penka Христо=hristo Цветелина=tsvetelina Живко=zhivko Ясен=yasen "
        "Александър=aleksandar Виктория=viktoria Стоян=stoyan",
        "Иванов=ivanov Георгиев=georgiev Димитров=dimitrov Петров=petrov Николов=nikolov Христов=hristov "
        "Стоянов=stoyanov Тодоров=todorov Илиев=iliev Ангелов=angelov Василев=vasilev Атанасов=atanasov "
        "Петков=petkov Колев=kolev Йорданов=yordanov Маринов=marinov",
        "Бал=bal Бор=bor Въл=val Гроз=groz Дон=don Драг=drag Жел=zhel Зап=zap Кал=kal Кост=kost Леч=lech Мир=mir "
        "Нед=ned Огн=ogn Пей=pey Рад=rad Сав=sav Тош=tosh Хар=har Цан=tsan Чав=chav Щър=shtar",
        "анов=anov арски=arski ев=ev евски=evski елков=elkov енков=enkov иев=iev илов=ilov ков=kov ованов=ovanov "
        "овски=ovski оев=oev онков=onkov урски=urski чев=chev",
    ),
    "el-GR": _of(
        "Γεώργιος=georgios Μαρία=maria Ιωάννης=ioannis Ελένη=eleni Κωνσταντίνος=konstantinos Αικατερίνη=aikaterini "
        "Δημήτριος=dimitrios Βασιλική=vasiliki Νικόλαος=nikolaos Σοφία=sofia Παναγιώτης=panagiotis "
        "Αγγελική=angeliki Οδυσσέας=odysseas Μυρτώ=myrto Άγγελος=angelos",
        "Παπαδόπουλος=papadopoulos Παππάς=pappas Παπαδάκης=papadakis Βασιλείου=vasileiou Γεωργίου=georgiou "
        "Νικολάου=nikolaou Καραγιάννης=karagiannis Ιωάννου=ioannou Οικονόμου=oikonomou Μακρής=makris "
        "Δημητρίου=dimitriou Αθανασίου=athanasiou Ψαράς=psaras",
        "Αγγελ=angel Βλαχ=vlach Γιανν=giann Δρακ=drak Ζαχαρ=zachar Θεοδωρ=theodor Καρα=kara Κυρια=kyria Λαμπρ=lampr "
        "Μανουσ=manous Ξυλ=xyl Παπα=papa Ραπτ=rapt Σταυρ=stavr Τσακ=tsak Χατζη=chatzi Ψαρ=psar",
        "άκης=akis ακόπουλος=akopoulos άκος=akos ανός=anos άς=as ατος=atos ίδης=idis ικος=ikos όγλου=oglou "
        "όπουλος=opoulos ούδης=oudis ούλης=oulis ούρης=ouris ώνης=onis",
    ),
    "ja-JP": _of(
        "翔太=shota さくら=sakura 大輔=daisuke 陽子=yoko 健太=kenta 美咲=misaki 拓也=takuya 由美=yumi 蓮=ren 葵=aoi "
        "誠=makoto 恵子=keiko 悠斗=yuto 結衣=yui 直樹=naoki 久美子=kumiko 学=manabu ゆうき=yuuki 七海=nanami "
        "浩=hiroshi 真由美=mayumi 大翔=hiroto ひなた=hinata",
        "佐藤=sato 鈴木=suzuki 高橋=takahashi 田中=tanaka 伊藤=ito 渡辺=watanabe 山本=yamamoto 中村=nakamura "
        "小林=kobayashi 加藤=kato 吉田=yoshida 山田=yamada 佐々木=sasaki 山口=yamaguchi 松本=matsumoto 井上=inoue "
        "木村=kimura 林=hayashi 斎藤=saito 清水=shimizu 髙橋=takahashi 渡邉=watanabe 五十嵐=igarashi "
        "長谷川=hasegawa",
        "青=ao 赤=aka 秋=aki 石=ishi 岩=iwa 上=ue 大=oo 岡=oka 奥=oku 小=ko 春=haru 北=kita 黒=kuro 桜=sakura "
        "島=shima 杉=sugi 竹=take 土=tsuchi 中=naka 西=nishi 野=no 原=hara 平=hira 福=fuku 星=hoshi 松=matsu "
        "水=mizu 宮=miya 森=mori 横=yoko",
        "池=ike 井=i 浦=ura 江=e 尾=o 岡=oka 川=kawa 木=ki 口=guchi 倉=kura 崎=zaki 沢=zawa 下=shita 島=jima 瀬=se "
        "田=da 谷=tani 津=tsu 塚=tsuka 辺=be 野=no 橋=hashi 畑=hata 原=hara 部=be 村=mura 本=moto 山=yama",
    ),
    "zh-TW": _of(
        "家豪=jiahao 淑芬=shufen 志明=zhiming 雅婷=yating 俊傑=junjie 怡君=yijun 建宏=jianhong 美玲=meiling "
        "冠宇=guanyu 心怡=xinyi 志豪=zhihao 淑惠=shuhui 宗翰=zonghan 佳穎=jiaying 文雄=wenxiong 麗華=lihua "
        "承恩=chengen 子涵=zihan 品妍=pinyan 宥廷=youting",
        "陳=chen 林=lin 黃=huang 張=zhang 李=li 王=wang 吳=wu 劉=liu 蔡=cai 楊=yang 許=xu 鄭=zheng 謝=xie 洪=hong "
        "郭=guo 邱=qiu 曾=zeng 廖=liao 賴=lai 徐=xu 周=zhou 葉=ye 蘇=su 莊=zhuang 呂=lu 江=jiang 何=he 蕭=xiao "
        "羅=luo 高=gao 歐陽=ouyang 鄧=deng",
        "司=si 上=shang 諸=zhu 夏=xia 皇=huang 尉=yu 公=gong 赫=he 澹=tan 令=ling 宇=yu 長=chang 慕=mu 端=duan",
        "馬=ma 官=guan 葛=ge 侯=hou 甫=fu 遲=chi 孫=sun 連=lian 台=tai 狐=hu 文=wen 容=rong 木=mu 羊=yang",
    ),
    "ar-KW": _of(
        "محمد=mohammed فاطمة=fatima أحمد=ahmed نورة=noura علي=ali مريم=maryam عبدالله=abdullah سارة=sara "
        "يوسف=yousef ليلى=layla خالد=khaled عائشة=aisha حسن=hassan زينب=zainab طارق=tareq هدى=huda عمر=omar "
        "دلال=dalal",
        "العنزي=alenezi المطيري=almutairi الرشيدي=alrashidi العجمي=alajmi الشمري=alshammari العتيبي=alotaibi "
        "الهاجري=alhajri الظفيري=aldhafiri الكندري=alkandari العوضي=alawadhi القناعي=alqinai الصباح=alsabah",
        "ال=al بو=bu بن=bin",
        "جابر=jaber حمد=hamad خليفة=khalifa راشد=rashed سالم=salem شاهين=shaheen صقر=saqr ظاهر=dhaher عبيد=obaid "
        "غانم=ghanem فهد=fahad قاسم=qasem كمال=kamal ماجد=majed ناصر=nasser هلال=hilal",
    ),
}
#: How a number begins, and how many digits follow that make it one of those nobody has.
PHONES: Final = {
    "GB": (
        ("+44 7700 900", 3), ("+44 7700 900", 3), ("+44 1632 960", 3), ("+44 20 7946 0", 3), ("+44 113 496 0", 3),
        ("+44 114 496 0", 3), ("+44 115 496 0", 3), ("+44 116 496 0", 3), ("+44 117 496 0", 3), ("+44 118 496 0", 3),
        ("+44 121 496 0", 3), ("+44 131 496 0", 3), ("+44 141 496 0", 3), ("+44 151 496 0", 3), ("+44 161 496 0", 3),
        ("+44 191 498 0", 3), ("+44 29 2018 0", 3),
    ),
    "FR": (
        ("+33 1 99 00 ", 4), ("+33 2 61 91 ", 4), ("+33 3 53 01 ", 4), ("+33 4 65 71 ", 4), ("+33 5 36 49 ", 4),
        ("+33 6 39 98 ", 4),
    ),
    "DE": (
        ("+49 30 23125 ", 3), ("+49 69 90009 ", 3), ("+49 40 66969 ", 3), ("+49 221 4710 ", 3), ("+49 89 99998 ", 3),
    ),
    "SE": (
        ("+46 31 390 06 ", 2), ("+46 40 628 04 ", 2), ("+46 8 465 004 ", 2), ("+46 980 319 2", 2),
        ("+46 70 174 06 ", 2),
    ),
    "US": tuple(
        (f"+1 {area} 555-01", 2)
        for area in (
            "201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 "
            "248 251 252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 "
            "315 316 317 318 319 320 321 323 325 330 331 334 336 337 339 347 351 352 360 361 385 386 401 402 404 "
            "405 406 407 408 409 410 412 413 414 415 417 419 423 424 425 432 434 435 440 443 469 478 479 480 484 "
            "501 502 503 504 505 507 508 509 510 512 513 515 516 517 518 520 530 540 541 551 559 561 562 563 567 "
            "570 571 573 574 580 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620 623 "
            "626 630 631 636 641 646 650 651 660 661 662 678 682 701 702 703 704 706 707 708 712 713 714 715 716 "
            "717 718 719 720 724 727 731 732 734 740 754 757 760 763 765 770 772 773 774 775 781 785 786 801 802 "
            "803 804 805 806 808 810 812 813 814 815 816 817 818 828 830 831"
        ).split()
    ),
}  # fmt: skip
