"""The words the linter knows, per language, each list with where it comes from.

A list that grows needs an example in the tests, and a harmless neighbour that it must not find.
"""

import re
from typing import Final

from backend.policy.vocabulary import Language


def _any(*patterns: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), flags)


# Prices, offers and calls to buy. Obligation rows 6 and 41; CSP R.4127-19-1 (medicine is no trade); CNIL on disguised
# promotion. A word that care uses too is only found where what stands around it sells: "promotion de la santé",
# "remise des clés", "l'offre de soins", "feel free", "deal with" are harmless.
PROMOTION: Final = {
    Language.FRENCH: _any(
        r"\boffres?\s+(?:spéciale|exceptionnelle|promotionnelle|exclusive|limitée|de\s+(?:bienvenue|lancement|rentrée)|du\s+moment)s?",
        r"\b(?:nos|notre|cette|une)\s+offres?\b(?!\s+de\s+soins?)",
        r"\boffert(?:e|es|s)?\b",
        r"\bpromos?\b",
        r"\bpromotions?\b(?!\s+de\s+la\s+santé)",
        r"\bcode\s+promo",
        r"\bréductions?\b(?!\s+(?:de\s+(?:la\s+)?fracture|du\s+risque|des\s+risques))",
        r"\bremises?\s+(?:de\s+\d|exceptionnelle|immédiate|spéciale)",
        r"\bsoldes?\b(?!\s+de\s+votre\s+compte)",
        r"\b(?:consultation|bilan|séance|essai|examen|cadeau|livraison)\s+gratuite?s?\b|\bgratuitement\b",
        r"\b\d{1,7}(?:[.,]\d{1,3})?\s{0,2}(?:€|euros?\b|EUR\b)",
        r"[-–]\s?\d{1,2}\s?%|\d{1,2}\s?%\s+de\s+(?:réduction|remise)",
        r"\b(?:nos|petits?|meilleurs?)\s+prix\b|\bprix\s+(?:réduit|spécial|imbattable|cassé)s?",
        r"\btarifs?\s+(?:préférentiel|réduit|spécial|promotionnel|avantageux)\w*|\bnos\s+tarifs\b",
        r"\bbons?\s+plans?\b",
        r"\bprofite[zr]?\b|\bprofites\b",
        r"\bparrain(?:ez|age|ages|e)?\b",
        r"\b(?:chèque|carte|bon)s?[\s-]cadeaux?\b|\bbon\s+d['’]achat",
        r"\bpoints?\s+(?:de\s+)?fidélité\b",
        r"\bachetez\b|\bachète\b|\bcommandez\b|\bcommande\s+(?:vite|maintenant)",
        r"\bclique[zr]?\b|\bdécouvrez\b|\bdécouvre\s+(?:nos|notre|vite)\b",
        r"\bréserve[zr]?\s+(?:vite|maintenant|dès)\b|\bn['’]attende[zs]\s+plus\b",
        r"\b(?:nombre\s+de\s+)?places?\s+limitées?\b",
        r"\bexclusivités?\b|\ben\s+exclusivité\b",
    ),
    Language.ENGLISH: _any(
        r"\b(?:special|exclusive|limited|welcome|introductory)\s+(?:offer|rate|price)s?\b",
        r"\b(?:our|this|an|the)\s+offers?\b",
        r"\bdiscount(?:s|ed)?\b",
        r"\bon\s+sale\b|\bsales?\s+(?:ends?|starts?|now)\b",
        r"\d{1,2}\s?%\s+off\b",
        r"(?:£|€|\$)\s?\d+|\b\d+\s?(?:pounds|euros|dollars)\b",
        r"\b(?:low|special|best|great|reduced)\s+prices?\b|\bour\s+prices\b",
        r"\bfor\s+free\b|\bfree\s+(?:gift|trial|consultation|check-?up|session|delivery)s?\b",
        r"\b(?:great|best|good|special|hot)\s+deals?\b|\bdeal\s+of\b",
        r"\bbuy\s+(?:now|one|today|your)\b|\border\s+(?:now|today)\b|\bshop\s+(?:now|online)\b",
        r"\bbook\s+(?:now|today|fast)\b|\bsign\s+up\s+(?:now|today)\b",
        r"\bclick\b|\bdiscover\s+(?:our|your|the)\b",
        r"\bhurry\b|\bdon['’]t\s+miss\b|\blast\s+chance\b|\blimited\s+(?:time|places|spaces)\b|\bwhile\s+stocks?\b",
        r"\bgift\s+(?:card|voucher)s?\b|\bvouchers?\b|\bcoupons?\b|\bpromo\s+code\b",
        r"\b(?:loyalty|reward)\s+points?\b|\brefer\s+a\s+friend\b",
        r"\bsave\s+(?:up\s+to\s+)?(?:£|€|\$|\d)",
    ),
}

# A doctor uses no testimonials of third parties: CSP R.4127-19-1, R.4127-20.
REVIEW: Final = {
    Language.FRENCH: _any(
        r"\b(?:laisse[zr]?|donne[zr]?|poste[zr]?|publie[zr]?|déposez?)[\s-](?:nous\s+)?(?:un|votre|ton)\s+(?:avis|commentaire|témoignage)\b"
        r"(?:\s+(?:en\s+ligne|sur\s+\w+|google))?",
        r"\bavis\s+google\b|\bnotez[\s-]nous\b|\btémoignez\b",
    ),
    Language.ENGLISH: _any(
        r"\b(?:leave|write|post|give)\s+(?:us\s+)?(?:a|your)\s+(?:(?:online|public|google)\s+)?review\b",
        r"\breview\s+us\b|\brate\s+us\s+(?:on|online)\b|\bgoogle\s+reviews?\b|\btestimonials?\b",
    ),
}

# Specialities, illnesses, examinations, treatments, and who gives them. Obligation row 7; research on wording, surface
# by surface: CNIL and CNOM guide (knowing that somebody sees a specialist is an indication of health). Words every
# clinic uses of everybody ("soins", "médecin", "consultation", "santé" in a name) tell nothing about the person, and
# are not among them; nor are words with a harmless twin ("radio" is, "vue" and "sein" alone are not).
STEMS: Final = _any(
    r"\b(?:cardio|onco|gastro|dermato|gyn[ée]co|psych|neuro|uro|n[ée]phro|rhumato|rheumato|h[ée]mato|haemato|endocrino|allergo"
    r"|pneumo|hépato|hepato|ophtalmo|ophthalmo|stomato|proct|g[ée]riatr|p[ée]diatr|paediatr|orthop[ée]d|orthopaed|addict"
    r"|alcoolo|kin[ée]si|orthophon|sexolog|fertil|venereo|v[ée]n[ée]rolog|chimioth|chemoth|radioth|mammogra|coloscop|colonoscop"
    r"|endoscop|biops|[ée]chogra|scintigra|ultrasound|vaccin|immunis|gripp|influenz|diab[èe]t|asthm|cancer|tum(?:eu|o)r"
    r"|m[ée]tasta|leuc[ée]m|leukaem|lymphom|m[ée]lanom|d[ée]press|schizo|bipol|alzheimer|parkinson|[ée]pileps|scl[ée]ros|arthr"
    r"|ost[ée]opor|hypertens|hypotens|cholest[ée]rol|thyro[ïi]d|prostat|grossesse|pregnan|contracep|avortement"
    r"|abortion|m[ée]nopaus|inject|transfus|dialys|perfus|antibio|insulin|morphin|m[ée]thadon|allerg|eczem|ecz[ée]m|psoria"
    r"|h[ée]patit|tubercul|pneumoni|covid|rougeole|measles|papillom|syphilis|chlamyd|gonorr|s[ée]ropositi|st[ée]rilet"
    r"|fausse[\s-]couche|miscarr|d[ée]pist|mal(?:ad[ei]|aise)|obes|ob[ée]s|anorex|boulim|bulim|migrain|surgery|surgical|surgeon"
    r"|chirurg|anesth[ée]s|anaesth|hospitalis|symptom|symptôm|diagnos|ordonnanc|prescri|m[ée]dicament|medicat|medicine)\w*"
)
HEALTH: Final = {
    Language.FRENCH: _any(
        r"\bdent(?:s|aire|aires|iste|istes|ition)?\b|\bcaries?\b|\bprothèses?\b",
        r"\bradios?(?:graphie\w*|logi\w*)?\b|\bscanners?\b|\bprises?\s+de\s+sang\b|\banalyses?\b|\bexamens?\b|\bbilans?\b",
        r"\b(?:vos|tes|les|votre|ton|des|un)\s+(?:tests?|résultats?)\b|\brésultats?\s+(?:de|d['’])",
        r"\btraitements?\b|\bposologie\b|\bcomprimés?\b|\bpiqûres?\b|\bpiqures?\b|\bdoses?\b|\bpilules?\b",
        r"\bopérations?\b|\bopérée?s?\b|\baccouchement\b|\bsage[s]?-femmes?\b|\bmaternité\b|\bdu\s+sein\b|\bcôlon\b|\butérus\b",
        r"(?<!l['’])(?<!cette\s)\benceintes?\b",
        r"\binfirmi(?:er|ère)s?\b|\bspécialistes?\b|\blaboratoire\b|\bsida\b|\bdiurétiques?\b|\bà\s+jeun\b",
    ),
    Language.ENGLISH: _any(
        r"\bdent(?:al|ist|ists|istry|ures?)\b|\bteeth\b|\btooth\b",
        r"\bx-?rays?\b|\bscans?\b|\bblood\s+(?:test|sample|pressure|sugar)s?\b|\bscreenings?\b|\bsmear\b",
        r"\b(?:your|the|a)\s+(?:tests?|results?|exams?|examination)\b|\btest\s+results?\b",
        r"\btreatments?\b|\bprescriptions?\b|\bdos(?:e|es|age)\b|\btablets?\b|\bpills?\b|\bjabs?\b|\bflu\b|\bshots?\b",
        r"\boperations?\b|\bstroke\b|\bheart\s+\w+|\bdisease\b|\billness\b|\bmidwi(?:fe|ves)\b|\bmaternity\b|\bnurses?\b",
        r"\bspecialists?\b|\blaboratory\b|\bfasting\b|\bbreast\b|\bcervical\b|\bbowel\b|\bwomb\b",
    ),
}
# Capitals only: "avc" in a word, "mst" in a name are something else.
HEALTH_LETTERS: Final = re.compile(
    r"\b(?:IRM|MRI|VIH|HIV|AIDS|IVG|IST|MST|STI|STD|FIV|IVF|PMA|HPV|BPCO|COPD|AVC|TDAH|ADHD|ECG|EEG|EHPAD|SEP)\b"
)
# A practitioner by name: a name tells a speciality to whoever looks it up.
PRACTITIONER: Final = re.compile(
    r"\b(?:Dr|Pr|Docteure?|Professeure?|Doctor|Professor|Nurse)\b\.?[\s\u00a0]+[A-ZÉÈÀ][\w’'-]+"
)

# Brands of medicines are not named to the public: CSP L.5122-6 (its exception for vaccines has conditions).
BRANDS: Final = _any(
    r"\b(?:vaxigrip\w*|influvac\w*|efluelda|fluarix\w*|flucelvax\w*|fluenz|fluad|comirnaty|spikevax|nuvaxovid|gardasil|cervarix"
    r"|prevenar|priorix|zostavax|shingrix|doliprane|dafalgan|efferalgan|advil|nurofen|ventoline|ventolin|levothyrox|kardegic"
    r"|xarelto|eliquis|lovenox|ozempic|wegovy|mounjaro|saxenda|viagra|cialis|botox|vistabel|xanax|lexomil|prozac|zoloft"
    r"|ritaline|ritalin|subutex|tahor|crestor|lipitor|humira|keytruda|truvada|panadol|calpol|zoladex)\b"
)

# Carriers take the word for a sign of advertising, and hold the message back at night (documents of French vendors).
STOP: Final = re.compile(
    r"\bSTOP\b|\b(?:[Rr]éponde?[zs]|[Ee]nvoye?[zs]|[Tt]ext|[Rr]eply|[Ss]end)\s+(?:with\s+)?[\"«“]?\s?[Ss]top\b"
)
REPLY: Final = {
    Language.FRENCH: _any(
        r"\brépond(?:ez|s|re)\s+(?:à\s+ce\s+(?:message|sms)|(?:par\s+)?[«\"“]?\s?(?:oui|non|ok|1|2|c|a)\b)",
        r"\btape[zr]?\s+\d\b",
    ),
    Language.ENGLISH: _any(
        r"\brepl(?:y|ying)\s+(?:to\s+this\s+(?:message|text)|(?:with\s+)?[\"“]?(?:yes|no|ok|1|2|c|y|n)\b)",
        r"\btext\s+back\b|\btype\s+\d\b",
    ),
}

# Presses, threatens, counts down, reproaches. Research on wording (3.3): polite, factual, one action; "vous devez" only
# for what the law obliges to. Milkman et al., PNAS 2021: the sober tone worked best.
PRESSURE: Final = {
    Language.FRENCH: _any(
        r"\bvous\s+devez\b|\btu\s+dois\b|\bil\s+faut\s+absolument\b|\bobligatoire(?:ment)?\b|\burgen(?:t|ce)\b(?!\s+(?:vitale|médicale))",
        r"\bdernière\s+(?:chance|relance)\b|\bavant\s+qu['’]il\s+ne?\s+soit\s+trop\s+tard\b|\bplus\s+que\s+\d+\s+(?:jours?|heures?)\b",
        r"\bn['’](?:avez|as)\s+(?:toujours\s+)?pas\s+(?:fait|pris|répondu)\b|\bvous\s+risquez\b|\btu\s+risques\b|\bsous\s+peine\b",
        r"\bne\s+(?:manque[zr]?|rate[zr]?)\s+pas\b|\bvite\s*!",
    ),
    Language.ENGLISH: _any(
        r"\byou\s+(?:must|have\s+to|need\s+to)\b|\burgent(?:ly)?\b|\bimmediately\b|\bfinal\s+(?:notice|reminder)\b",
        r"\bbefore\s+it(?:['’]s|\s+is)\s+too\s+late\b|\bonly\s+\d+\s+(?:days?|hours?)\s+left\b|\bfail(?:ure)?\s+to\b",
        r"\byou\s+(?:have\s+not|haven['’]t|still\s+have\s+not)\s+(?:done|booked|replied|answered)\b|\byou\s+risk\b",
    ),
}
READS_BADLY: Final = _any(r"\b\w+\((?:e|ne|s|es)\)", r"\w·\w+", r"\brdv\b", r"\bappt\b", r"\bsvp\b|\basap\b")
EMOJI: Final = re.compile("[\u2600-\u27bf\u2b50\u2b55\ufe0f\U0001f000-\U0001faff]+")
SHOUTED: Final = re.compile(r"\b[A-ZÀ-Þ]{3,}(?:[\s\u00a0'’-]+[A-ZÀ-Þ]{2,})+\b|\b[A-ZÀ-Þ]{7,}\b|[!?]\s?[!?]+|!{2,}")

# Who is spoken to. "rendez-vous" says nothing of it; "TA" in capitals is a blood pressure.
TU: Final = re.compile(r"\b(?:[Tt](?:u|e|on|a|es|oi|ien|ienne|iens)\b(?![-.]\w)|[Tt]['’](?=\w))")
VOUS: Final = re.compile(
    r"(?<![Rr]endez[-\u2011\s])\b(?:[Vv]ous|[Vv]otre|[Vv]os|[Vv]ôtres?)\b"
    r"|(?<![\w-])(?!(?:[Cc]hez|[Aa]ssez|[Nn]ez|[Rr]ez|[Rr]endez)\b)(?:[a-zà-ÿ]+ez|(?:(?<=[.?!:]\s)|(?<=\n)|^)[A-ZÉÀ][a-zà-ÿ]+ez)\b"
)

# Numbers that cost more. France, ARCEP's numbering plan: 081, 082 and 089 have a price of their own (080 has none); so
# have short numbers from 3, directories (118), and five digits for SMS. United Kingdom, Ofcom: 084, 087, 09, 118.
SURCHARGED: Final = re.compile(
    r"(?:(?<!\d)0|\+\s?33)[\s.-]?8[\s.-]?[129](?:[\s.-]?\d){3,7}(?!\d)"
    r"|(?:(?<!\d)0|\+\s?44\s?)8[47]\d?(?:[\s.-]?\d){6,8}(?!\d)|\+\s?44\s?9(?:[\s.-]?\d){8,9}(?!\d)"
    r"|(?<!\d)118[\s.]?\d{3}(?!\d)",
)
CALLED: Final = re.compile(
    r"\b(?:au|appele[zr]?(?:\s+le)?|compose[zr]?(?:\s+le)?|tél\.?\s*:?|call|dial|text|phone|ring)\s+"
    r"(3[\s.]?\d[\s.]?\d[\s.]?\d(?!\s?\d)|[3-8]\d{4}(?!\s?\d))",
    re.IGNORECASE,
)
# Short numbers of public help that are free of charge (ARCEP, list of numbers of general interest).
FREE_SHORT: Final = frozenset({"3018", "3020", "3114", "3646", "3919", "3939", "3977", "3989"})

LINK: Final = re.compile(
    r"\b(?:https?|ftp)://[^\s<>\"«»]+|\bwww\.[^\s<>\"«»]+"
    r"|(?<![@\w.-])(?:[a-z0-9-]+\.)+(?:fr|com|org|net|eu|io|ly|gl|uk|info|int|health|care|link|app)\b(?:/[^\s<>\"«»]*)?",
    re.IGNORECASE,
)
# Sites of public authorities, which may be named (without a path) where a text says its source.
PUBLIC_SITES: Final = frozenset(
    {
        "ameli.fr",
        "ansm.sante.fr",
        "cnil.fr",
        "e-cancer.fr",
        "has-sante.fr",
        "monespacesante.fr",
        "nhs.uk",
        "sante.fr",
        "sante.gouv.fr",
        "santepubliquefrance.fr",
        "service-public.fr",
        "vaccination-info-service.fr",
        "who.int",
    }
)
