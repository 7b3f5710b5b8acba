"""Short stories from a grammar: a corpus whose true entropy is known, so that a model can be held to it.

Holds the grammar, a sampler of stories as tokens, and their ids. A name, a pronoun, a thing, its colour and a
place are chosen early and come back many tokens later: counting n-grams cannot follow them, a model with a
memory can. Leaves out the arithmetic, which is `byhand.corpora.grammar`. Belongs to no chapter.
"""

import functools
import random
from collections.abc import Iterable

from byhand.corpora.grammar import END, Grammar
from byhand.corpora.notation import read_rules

RULES = """
STORY: 4 one <KIND> <WHEN> <HERO=hero> <OPENING> | 2 once <HERO=hero> <OPENING>
  | 1 when it was <KIND> , <HERO=hero> <OPENING>
KIND: 4 sunny | 3 warm | 2 cold | 2 windy | 1 grey
WHEN: 4 day | 3 morning | 2 afternoon | 1 evening
OPENING: 5 <TAKE> a <COLOUR=colour> <THING=thing> to the <PLACE=place> . <MIDDLE>
TAKE: 3 took | 2 carried | 1 brought
HERO: 4 mia / she her | 4 tom / he his | 3 ada / she her | 3 ben / he his
  | 2 eva / she her | 2 max / he his | 1 zoe / she her | 1 sam / he his
FRIEND: 3 otto / he his | 3 lily / she her | 2 hugo / he his
  | 2 nora / she her | 1 ivan / he his | 1 rosa / she her
COLOUR: 4 red | 3 blue | 3 green | 2 yellow | 2 white | 1 golden
THING: 4 ball | 3 kite | 3 boat | 2 drum | 2 book | 2 lamp | 1 hat | 1 horn
PLACE: 4 park | 3 beach | 3 garden | 2 river | 2 market | 1 lake
MIDDLE: 3 {hero.1} <PLAY> with the {thing} <HOW> . <TROUBLE>
  | 3 there {hero.1} <MET> <FRIEND=friend> . <MEETING>
PLAY: 4 played | 2 danced | 2 ran | 1 sang
HOW: 3 for <SPAN> | 2 until <LATE> | 1 again and again
SPAN: 2 hours | 2 long | 1 fun
LATE: 3 noon | 2 dark | 1 dinner
MET: 3 met | 2 saw | 1 found
MEETING: 3 {friend} <LIKED> the {colour} {thing} . <SHARED> | 2 {friend.1} was <MOOD> . <CHEER>
LIKED: 3 liked | 2 loved | 1 wanted
MOOD: 3 sad | 2 tired | 2 alone | 1 angry
CHEER: 2 {hero} <GAVE> {friend} the {colour} {thing} . <SHARED> | 1 so {hero} sang for {friend} . <SHARED>
GAVE: 2 gave | 1 showed
SHARED: 3 {hero} and {friend} <PLAY> at the {place} <HOW> . <THANKS> | 2 both <PLAY> <HOW> . <TROUBLE>
THANKS: 3 then {friend} thanked {hero} for the {colour} {thing} . <CLOSE> | 2 <CLOSE>
TROUBLE: 4 but <SOON> the {thing} was gone . <SEARCH>
  | 3 suddenly the <WEATHER=weather> came to the {place} . <STORM>
SOON: 3 soon | 2 then | 1 later
WEATHER: 3 rain | 2 wind | 1 snow
STORM: 1 {hero} hid {hero.2} {thing} <SHELTER> . when the {weather} was over , <AFTER>
SHELTER: 3 under a <COVER> | 2 behind a <COVER> | 1 at home
COVER: 3 tree | 2 bench | 2 wall | 1 rock
AFTER: 2 <CLOSE> | 1 the {thing} was still {colour} . <CLOSE>
SEARCH: 3 {hero} looked <LOOK> for the {colour} {thing} . <FOUND> | 1 {hero.1} cried <HOW> . <FOUND>
LOOK: 3 everywhere | 2 behind every <COVER> | 1 under every <COVER>
FOUND: 3 at last {hero.1} found it <SHELTER> . <CLOSE> | 2 a <ANIMAL=animal> had the {thing} ! <RETURN>
ANIMAL: 3 dog | 2 cat | 2 bird | 1 goat
RETURN: 3 the {animal} gave {hero} {hero.2} {colour} {thing} . <CLOSE>
  | 1 {hero} ran after the {animal} <HOW> . <FOUND>
CLOSE: 3 {hero} went home with {hero.2} {thing} . <ENDING> | 2 so {hero} left the {place} . <ENDING>
ENDING: 3 {hero.1} was <GLAD> . | 1 what a <GLAD> <WHEN> , said {hero} .
GLAD: 3 happy | 2 glad | 1 proud
"""


@functools.cache
def story_grammar() -> Grammar:
    """The grammar of the stories.

    >>> 0.3 < story_grammar().entropy_per_token() < 0.7
    True
    """
    return Grammar(read_rules(RULES))


def sample_stories(count: int, seed: int) -> list[list[str]]:
    """Draw stories as lists of tokens; the same seed gives the same stories.

    >>> " ".join(sample_stories(1, seed=0)[0][:3])
    'once eva took'
    """
    rng = random.Random(seed)
    return [story_grammar().sample(rng) for _ in range(count)]


def story_ids(stories: Iterable[list[str]]) -> list[int]:
    """One stream of token ids: the end token (id 0) opens it and closes each story.

    Ids count through `story_grammar().vocabulary`. Because the end token stands before the first story too,
    every story is predicted from the same beginning.

    >>> ids = story_ids([["mia", "."]])
    >>> [story_grammar().vocabulary[i] for i in ids]
    ['<end>', 'mia', '.', '<end>']
    """
    place = {token: index for index, token in enumerate(story_grammar().vocabulary)}
    ids = [place[END]]
    for story in stories:
        ids += [place[token] for token in story]
        ids.append(place[END])
    return ids
