"""The words of the pages on which a yes is confirmed. They name what is asked, and nobody who is asked."""

from typing import Any, Final

from backend.policy.vocabulary import Language

WORDS: Final[dict[Language, dict[str, Any]]] = {
    Language.FRENCH: {
        "frame": {
            "space": "Vos choix",
            "skip": "Aller au contenu",
            "language": "Langue",
            "call": "Une question\N{NARROW NO-BREAK SPACE}? Appelez le",
            "nothing_to_explain": "Rien à expliquer, pas de mot de passe. Votre oui ne vaut que pour ces messages.",
            "notice": "Ce que nous faisons de vos données",
            "withdrawing": "Vous pouvez changer d’avis à tout moment\N{NO-BREAK SPACE}: chaque message porte un lien "
            "pour l’arrêter, en un geste.",
        },
        "ask": {
            "title": "Confirmer votre choix",
            "heading": "Voulez-vous recevoir «\N{NO-BREAK SPACE}{purpose}\N{NO-BREAK SPACE}» {channel}"
            "\N{NARROW NO-BREAK SPACE}?",
            "lead": "On nous a demandé de vous écrire ici. Sans votre oui, nous n’envoyons rien.",
            "yes": "Oui, je suis d’accord",
            "no": "Non, je refuse",
            "until": "Vous pouvez répondre jusqu’au {until}.",
        },
        "changed": {
            "title": "Confirmer votre choix",
            "heading": "Le texte a changé\N{NO-BREAK SPACE}: voulez-vous recevoir «\N{NO-BREAK SPACE}{purpose}"
            "\N{NO-BREAK SPACE}» {channel}\N{NARROW NO-BREAK SPACE}?",
            "lead": "Une nouvelle version a paru pendant que vous lisiez. Votre réponse n’a pas été "
            "prise\N{NO-BREAK SPACE}: lisez le nouveau texte et répondez.",
            "yes": "Oui, je suis d’accord",
            "no": "Non, je refuse",
            "until": "Vous pouvez répondre jusqu’au {until}.",
        },
        "given": {
            "title": "C’est confirmé",
            "heading": "C’est confirmé",
            "lead": "Vous recevrez «\N{NO-BREAK SPACE}{purpose}\N{NO-BREAK SPACE}» {channel}. Chaque message porte un "
            "lien pour l’arrêter.",
        },
        "waiting": {
            "title": "C’est noté",
            "heading": "C’est noté, il manque un autre oui",
            "lead": "À votre âge, l’un de vos parents doit aussi dire oui. D’ici là, nous n’envoyons rien.",
        },
        "refused": {
            "title": "C’est noté",
            "heading": "C’est noté\N{NO-BREAK SPACE}: non",
            "lead": "Nous n’enverrons pas «\N{NO-BREAK SPACE}{purpose}\N{NO-BREAK SPACE}» {channel}. Rien ne change "
            "pour vos soins.",
        },
        "already_given": {
            "title": "Déjà confirmé",
            "heading": "Vous avez déjà dit oui par ce lien",
            "lead": "Il n’y a rien à faire. Pour arrêter, suivez le lien qui se trouve dans chaque message, "
            "ou dites-le "
            "à l’établissement.",
        },
        "already_waiting": {
            "title": "Déjà noté",
            "heading": "Vous avez déjà répondu par ce lien",
            "lead": "Votre oui est noté. L’un de vos parents doit aussi dire oui\N{NARROW NO-BREAK SPACE}; "
            "d’ici là, nous "
            "n’envoyons rien.",
        },
        "already_refused": {
            "title": "Déjà noté",
            "heading": "Vous avez déjà dit non par ce lien",
            "lead": "Il n’y a rien à faire. Si vous changez d’avis, dites-le à l’établissement.",
        },
        "too_old": {
            "title": "Lien trop ancien",
            "heading": "Ce lien ne sert plus",
            "lead": "Il était valable jusqu’au {until}. Sans réponse de votre part, nous n’envoyons rien. "
            "Pour recevoir "
            "ces messages, demandez un nouveau lien.",
        },
        "not_here": {
            "title": "Pas par ce lien",
            "heading": "Nous ne pouvons pas le noter ici",
            "lead": "Rien n’a été enregistré et rien ne vous sera envoyé. Adressez-vous à l’établissement, "
            "par téléphone "
            "ou sur place.",
        },
        "nowhere": {
            "title": "Lien sans effet",
            "heading": "Ce lien ne demande rien",
            "lead": "Il est peut-être incomplet\N{NO-BREAK SPACE}: ouvrez-le de nouveau depuis le message. "
            "Rien n’a été "
            "enregistré.",
        },
        "slow": {
            "title": "Trop de demandes",
            "heading": "Trop de demandes à la suite",
            "lead": "Attendez une minute, puis ouvrez de nouveau le lien depuis le message.",
        },
    },
    Language.ENGLISH: {
        "frame": {
            "space": "Your choices",
            "skip": "Skip to the content",
            "language": "Language",
            "call": "Any question? Call",
            "nothing_to_explain": "Nothing to explain, no password. Your yes is for these messages only.",
            "notice": "What we do with your data",
            "withdrawing": "You can change your mind at any time: every message has a link that stops it "
            "with one press.",
        },
        "ask": {
            "title": "Confirm your choice",
            "heading": "Do you want “{purpose}” {channel}?",
            "lead": "We were asked to write to you here. Without your yes we send nothing.",
            "yes": "Yes, I agree",
            "no": "No, I refuse",
            "until": "You can answer until {until}.",
        },
        "changed": {
            "title": "Confirm your choice",
            "heading": "The text has changed: do you want “{purpose}” {channel}?",
            "lead": "A new version came out while you were reading. Your answer was not taken: please read "
            "the new text, "
            "and answer.",
            "yes": "Yes, I agree",
            "no": "No, I refuse",
            "until": "You can answer until {until}.",
        },
        "given": {
            "title": "Confirmed",
            "heading": "Confirmed",
            "lead": "You will receive “{purpose}” {channel}. Every message has a link that stops it.",
        },
        "waiting": {
            "title": "Noted",
            "heading": "Noted: one more yes is needed",
            "lead": "At your age one of your parents has to say yes too. Until then we send nothing.",
        },
        "refused": {
            "title": "Noted",
            "heading": "Noted: no",
            "lead": "We will not send “{purpose}” {channel}. Nothing changes for your care.",
        },
        "already_given": {
            "title": "Already confirmed",
            "heading": "You said yes by this link already",
            "lead": "There is nothing to do. To stop, follow the link in any of the messages, or tell the clinic.",
        },
        "already_waiting": {
            "title": "Already noted",
            "heading": "You answered by this link already",
            "lead": "Your yes is noted. One of your parents has to say yes too; until then we send nothing.",
        },
        "already_refused": {
            "title": "Already noted",
            "heading": "You said no by this link already",
            "lead": "There is nothing to do. If you change your mind, tell the clinic.",
        },
        "too_old": {
            "title": "A link that is too old",
            "heading": "This link is of no use any more",
            "lead": "It was good until {until}. You did not answer, so we send nothing. To receive these messages, ask "
            "for a new link.",
        },
        "not_here": {
            "title": "Not by this link",
            "heading": "We can not note this here",
            "lead": "Nothing was recorded, and nothing will be sent to you. Please ask the clinic, by telephone or at "
            "the desk.",
        },
        "nowhere": {
            "title": "A link without effect",
            "heading": "This link asks nothing",
            "lead": "It may be incomplete: open it again from the message. Nothing was recorded.",
        },
        "slow": {
            "title": "Too many requests",
            "heading": "Too many requests in a row",
            "lead": "Wait a minute, then open the link again from the message.",
        },
    },
}
