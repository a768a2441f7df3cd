"""The commonest words of some languages: prose has them, lists of goods and of links do not.

By code of ISO 639-1. A language without a list is not judged by this rule. German, French and the others have more
forms of what English says with `the` and `to`, so that their lists are longer.
"""

STOP_WORDS: dict[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "en": "the be to of and that have with",
        "de": "der die das und in zu den von mit ist nicht ein eine dem",
        "fr": "le la les de des et un une que dans est pour qui du",
        "es": "el la los las de y que en un una por con del se",
        "it": "il la di e che un una per non con del della è si",
        "pt": "o a os as de e que em um uma para com do da não",
        "nl": "de het een en van in dat te niet met op is zijn voor",
        "pl": "i w na z do że nie się to jest od za przez który",
        "ru": "и в на не что с по из к как для это от было",
        "uk": "і в на не що з до та у як за для це від",
        "cs": "a v na že se je to s z do pro ve by jako",
        "sv": "och i att det som en på är av för med den till inte",
        "da": "og i at det er en til på af for med den der ikke",
        "no": "og i at det er en til på av for med den som ikke",
        "fi": "ja on ei että se oli hän mutta ovat kun myös kuin",
        "hu": "a az és hogy nem is egy van volt meg csak ez",
        "ro": "și de în la cu a o că nu pe un este din care",
        "tr": "ve bir bu da de için ile olarak çok daha olan gibi",
        "el": "και το να της η του με την για από είναι που",
        "id": "yang dan di dengan untuk dari ini itu pada tidak dalam adalah",
        "ca": "el la els les de i que en un una per amb del no",
        "ar": "في من على أن إلى هذا التي الذي عن مع كان لا",
    }.items()
}
