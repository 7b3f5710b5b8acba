"""The sentences that word problems are told in: seven kinds, the moves of each, names and things.

A move says how it changes the number that the story is about: `=` sets it to n, `+` and `-` change it by n,
`*` and `/` by the factor k, and `*=`, `*+`, `*-` take k times n first, which is a step of its own. `|` stands
between wordings. Leaves out the drawing and the arithmetic, which are `byhand.corpora.word_problems`. Belongs
to no chapter.
"""

SOURCE = """
things
= {hero} has {n} {things}. | At first {hero} has {n} {things}. | {hero} owns {n} {things}.
*= {hero} has {k} bags with {n} {things} in each bag. | {hero} fills {k} boxes with {n} {things} each.
+ {friend} gives {him} {n} more {things}. | {She} finds {n} more {things}. | {She} gets {n} {things} from {friend}.
- {She} gives {n} {things} to {friend}. | {She} loses {n} {things}. | {friend} takes {n} of {his} {things}.
*+ {She} gets {k} bags with {n} {things} each. | {k} friends give {him} {n} {things} each.
*- {She} gives {k} friends {n} {things} each. | {She} throws away {k} bags with {n} {things} each.
/ {She} makes {k} equal piles and keeps only one pile.
? How many {things} does {hero} have now? | How many {things} are left?

shopping
= {hero} goes to the shop with {n} coins. | {hero} has {n} coins to spend. | In the purse of {hero} are {n} coins.
*= {hero} works {k} hours for {n} coins an hour. | {hero} sells {k} {things} for {n} coins each.
+ The {relative} of {hero} pays {him} {n} coins. | {She} earns {n} coins. | {She} sells a ring for {n} coins.
- {She} buys a hat for {n} coins. | {She} spends {n} coins. | A drink costs {him} {n} coins.
*+ {She} sells {k} {things} for {n} coins each. | {She} works {k} hours for {n} coins an hour.
*- {She} buys {k} {things} for {n} coins each. | {She} pays for {k} tickets at {n} coins each.
* {She} saves until {she} has {k} times as many coins.
? How many coins does {hero} have in the end? | How much money does {hero} have now?

bus
= A bus leaves with {n} people. | There are {n} people on a bus. | A train starts with {n} people.
*= {k} classes of {n} children each go by bus. | A train has {k} wagons with {n} people each.
+ At the next stop {n} people get on. | At the market {n} more people get on.
- At the next stop {n} people get off. | At the station {n} people leave.
*+ At the school {k} groups of {n} people get on.
*- At the harbour {k} groups of {n} people get off.
? How many people are on board now? | How many people ride on?

reading
= {hero} has a book of {n} pages. | The new book of {hero} has {n} pages.
*= {hero} has a book of {k} chapters with {n} pages each. | {hero} wants to read {k} stories of {n} pages each.
+ {friend} lends {him} another {n} pages. | Then {hero} borrows a story of {n} pages.
- {She} reads {n} pages. | On Monday {she} reads {n} pages. | In the evening {she} finishes {n} pages.
*- For {k} days {she} reads {n} pages a day. | On {k} evenings {she} reads {n} pages each.
*+ {friend} brings {k} more chapters of {n} pages each.
? How many pages are left to read? | How many pages does {she} still have to read?

cooking
= A cake needs {n} grams of flour. | {hero} weighs {n} grams of rice. | For a soup {hero} takes {n} grams of beans.
*= {hero} pours {k} cups of {n} grams each into a bowl. | {hero} cooks for {k} guests with {n} grams each.
+ {She} adds {n} grams. | {She} stirs in {n} grams more. | The {relative} of {hero} adds {n} grams.
- {She} takes {n} grams out again. | {She} spills {n} grams.
*+ {She} adds {k} spoons of {n} grams each.
*- {She} takes out {k} spoons of {n} grams each.
* For a party {she} makes {k} times as much.
/ Then {she} cooks only one of {k} equal parts.
? How many grams are in the pot? | How many grams does {hero} use in the end?

game
= {new} scores {n} points. | In a game {new} gets {n} points.
+ {new} scores {n} points more than {last}. | {new} beats {last} by {n} points.
- {new} scores {n} points fewer than {last}. | {new} loses to {last} by {n} points.
* {new} scores {k} times as many points as {last}.
/ {last} scores {k} times as many points as {new}.
? How many points does {last} score? | What is the score of {last}?

garden
= A farmer plants {n} trees. | In a garden stand {n} trees.
*= A field has {k} rows with {n} trees each. | A farmer plants {k} rows of {n} trees.
+ In spring {n} more trees are planted. | The {relative} of the farmer plants {n} trees.
- A storm breaks {n} trees. | In winter {n} trees die. | Goats eat {n} of the trees.
*+ {k} children plant {n} trees each. | The farmer adds {k} rows of {n} trees.
*- {k} rows of {n} trees are cut down. | Each of {k} floods takes {n} trees away.
* A year later there are {k} times as many trees.
? How many trees stand there now? | How many trees are there in the end?
"""

NAMES = {
    **dict.fromkeys(("Mia", "Ada", "Eva", "Zoe", "Lily", "Nora", "Rosa", "Ines"), ("She", "she", "her", "her")),
    **dict.fromkeys(("Tom", "Ben", "Max", "Sam", "Otto", "Hugo", "Ivan", "Leo"), ("He", "he", "him", "his")),
}
"""Names with their pronouns: at the start of a sentence, inside it, as an object, of possession."""

THINGS = ("apples", "pears", "marbles", "cards", "stamps", "shells", "books", "pencils", "balls", "buttons")
RELATIVES = ("mother", "father", "sister", "brother", "uncle", "aunt")

Wordings = dict[str, dict[str, tuple[str, ...]]]


def read_templates(source: str) -> Wordings:
    """Kind to move to wordings, from the notation above.

    >>> read_templates("bus\\n= A bus with {n}. | Here are {n}.\\n? How many?")
    {'bus': {'=': ('A bus with {n}.', 'Here are {n}.'), '?': ('How many?',)}}
    """
    kinds = {}
    for block in source.strip().split("\n\n"):
        kind, *lines = block.splitlines()
        moves = (line.split(maxsplit=1) for line in lines)
        kinds[kind] = {move: tuple(texts.split(" | ")) for move, texts in moves}
    return kinds


_READ = read_templates(SOURCE)
KINDS = tuple(_READ)
TOLD: Wordings = {kind: {move: texts for move, texts in moves.items() if move != "?"} for kind, moves in _READ.items()}
ASKED = {kind: moves["?"] for kind, moves in _READ.items()}
