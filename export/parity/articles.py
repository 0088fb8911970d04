"""Short articles, written for this project, on which an export is compared with its checkpoint.

They differ in length, subject and punctuation; what they say is invented. `ARTICLES` repeats two of them until they
overflow every model, so that truncation and every length bucket are part of the comparison.
"""

from __future__ import annotations

from typing import Final

_SHORT: Final = (
    "Shares rise.",
    "The city council voted on Monday to rebuild the old harbour bridge.",
    "Rain is expected across the north tonight, with gusts of up to 70 km/h near the coast.",
)

_MEDIUM: Final = (
    "The bakery on Mill Street has sold rye bread for ninety years. Last week its owner announced that the ovens will "
    'move to a larger hall outside the town. "We bake four thousand loaves a day, and the old cellar has room for '
    'half of them," she said. The shop itself stays where it is, and its opening hours do not change.',
    "A late goal gave the visitors a 2-1 win on Saturday evening. The home side had led since the ninth minute and "
    "missed two chances to settle the match before the break. After the interval the visitors pressed higher, levelled "
    "from a corner, and found the winner in added time. The result lifts them to fourth place, three points behind the "
    "leaders with six rounds to play.",
    "Researchers who followed two thousand nurses for five years report that short walks during night shifts go "
    "together with better sleep. The study cannot show what causes what: people who sleep well may simply be readier "
    "to walk. The authors ask for a trial in which wards, not individuals, are assigned to one routine or the other.",
)

_LONG: Final = (
    "Parliament passed the transport bill on Thursday after a debate of eleven hours. The law moves a third of the "
    "road budget to railways over the next decade, and obliges the regions to publish, every quarter, how many trains "
    "ran and how many were late. The government argued that the network has been patched rather than renewed since "
    "the 1980s: signals fail on one day in nine, and freight waits for hours outside the port. The opposition called "
    "the plan a promise without a price, because the cost of land along the new lines is not part of the estimate.\n"
    "Several deputies from rural districts voted against their own parties. They said that buses, not trains, reach "
    "most villages, and that nothing in the bill keeps a bus running after seven in the evening. The minister replied "
    "that a second law on local transport would follow in spring; she gave no figures. Unions welcomed the decision "
    "but warned that there are too few drivers and signal engineers, and that training one takes at least two years. "
    "The first contracts are to be signed before the end of the year, beginning with the line along the river.",
    "For two summers the footpath across the limestone plateau was closed, because goats, rain and boots had worn it "
    "down to the rock. This week it opens again. Volunteers carried eleven tonnes of gravel up the slope, set three "
    "hundred steps, and moved the steepest part into the shade of a beech wood. Walkers who start at the railway "
    "station now reach the summit hut in about four hours; the descent on the other side, past two springs and a "
    "ruined mill, takes three.\n"
    "The hut serves soup, bread and a cheese that is made on the spot, and keeps twelve beds for those who arrive "
    "late. Water is short in August, so the wardens ask guests to fill their bottles in the valley. The tourist "
    "office has printed a map in four languages; it costs nothing and is, unlike the older one, right about the ford. "
    "Dogs are welcome on a lead. From October on the path may close at short notice after heavy rain, and the "
    "wardens will then put a notice at the station, where the first bus from the town arrives at ten past seven.",
)

ARTICLES: Final = (*_SHORT, *_MEDIUM, *_LONG, "\n".join(_LONG), "\n".join((*_LONG, *_MEDIUM, *_LONG, *_LONG)))
"""The texts in the order of their length, from two words to more than any model reads."""
