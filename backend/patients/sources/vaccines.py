"""Which vaccines count as which topic: coarse enough that the topic of a vaccination tells nothing of a diagnosis.

A topic is kept only for vaccines that the general calendar recommends to everybody of an age (France: Santé publique,
"Calendrier des vaccinations"). Any other vaccine is `other_vaccine`: hepatitis B, rabies or mpox would speak of a
risk, a journey or a way of life. Pandemic and avian influenza are not the seasonal one that a recall is about.

Sources of the codes: CDC, "IIS: HL7 Standard Code Set CVX", September 2025; SNOMED International, "IPS Terminology"
(CC BY 4.0), products below 787859002; WHO Collaborating Centre for Drug Statistics, ATC/DDD index, J07.
"""

from collections.abc import Iterable
from typing import Final

OTHER: Final = "other_vaccine"

CVX: Final = ("http://hl7.org/fhir/sid/cvx", "urn:oid:2.16.840.1.113883.12.292")
SNOMED: Final = ("http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96")
ATC: Final = ("http://www.whocc.no/atc", "https://www.whocc.no/atc", "urn:oid:2.16.840.1.113883.6.73")

_BY_CVX: Final = {
    "influenza": "15 16 88 111 135 140 141 144 149 150 151 153 155 158 161 166 168 171 185 186 194 197 200 201 202 205 "
    "231 320 331 333",
    "covid_19": "207 208 210 211 212 213 217 218 219 221 225 226 227 228 229 230 300 301 302 308 309 310 311 312 313 "
    "500 501 502 503 504 505 506 507 508 509 510 511 512 513 514 515 516 517 518 519 520 521",
    "dtp": "1 9 20 22 28 50 102 106 107 110 113 115 120 130 132 138 139 146 170 195 196 198",
    "mmr": "3 94",
    "hpv": "62 118 137 165",
    "pneumococcal": "33 100 109 133 152 177 215 216 327",
    "zoster": "121 187 188",
}
_BY_SNOMED: Final = {
    "influenza": "836377006 1181000221105 1010313002",
    "covid_19": "1119305005 1119349007 28531000087107",
    "dtp": "871826000 775641005 871875004 871876003 871878002 871883005 871837004 871838009 871894009 871839001 "
    "871887006 871888001 871886002 871891001 871895005 871929006 774618008 1162634005 1162637003 1297217008 "
    "2051000221107 2061000221109 2071000221100 2081000221102 2091000221104 2101000221107 318341000221109 "
    "318351000221106 462321000124107 1156879008",
    "mmr": "871831003 2241000221103 871908002 2251000221101",
    "hpv": "836379009 911000221103 1991000221106 2001000221108 1209197008",
    "pneumococcal": "836398006 981000221107 1801000221105 1052328007 1119220001",
}
# ATC codes are a tree: a code that begins like one of these belongs to it.
_BY_ATC: Final = {
    "influenza": "J07BB",
    "covid_19": "J07BN J07BX03",
    "dtp": "J07AM51 J07AJ51 J07AJ52 J07CA01 J07CA02 J07CA03 J07CA05 J07CA06 J07CA07 J07CA09 J07CA11 J07CA12 J07CA13",
    "mmr": "J07BD52 J07BD54",
    "hpv": "J07BM",
    "pneumococcal": "J07AL",
    "zoster": "J07BK02 J07BK03",
}

_TOPICS: Final = {
    **{(system, code): topic for topic, codes in _BY_CVX.items() for code in codes.split() for system in CVX},
    **{(system, code): topic for topic, codes in _BY_SNOMED.items() for code in codes.split() for system in SNOMED},
}
_ATC_BEGINNINGS: Final = tuple((begin, topic) for topic, begins in _BY_ATC.items() for begin in begins.split())

TOPICS: Final = (*_BY_CVX, OTHER)


def topic_of(codings: Iterable[tuple[str, str]]) -> str:
    """The topic of a vaccine from its codes, as pairs of system and code; the first that is known decides."""
    for system, code in codings:
        # CDC writes CVX codes below ten with a zero in front, others do not.
        plain = code.lstrip("0") if system in CVX else code
        topic = _TOPICS.get((system, plain))
        if topic is None and system in ATC:
            topic = next((named for begin, named in _ATC_BEGINNINGS if code.upper().startswith(begin)), None)
        if topic is not None:
            return topic
    return OTHER
