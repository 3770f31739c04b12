"""Bad nodes in simulated months: how many of them are found, how many others are accused, and how long it takes.

    python -m tests.bench.bench_suspects

Of 1,000 nodes three eat half of what runs there. Sixty users fail as often as each of them does; twelve arrays are
broken, on 200 nodes each, and some of those run most of their tasks in one place.
"""

import random
import time
from collections import Counter

from tests.suspects_row_by_row import Counted, span_of

NODES, JOBS_A_NODE, EATEN = 1000, 100, 0.5
SEEDS = range(1, 11)

_Place = tuple[str, str, str]


def month(seed: int) -> tuple[list[Counted], set[str]]:
    """Return the attempts of a month, and the bad nodes."""
    dice = random.Random(seed)  # noqa: S311 - the same month each time
    names = [f"n{number:04d}" for number in range(NODES)]
    bad = set(dice.sample(names, 3))
    careless = {f"u{number}": dice.betavariate(1, 12) for number in range(60)}
    users = list(careless)
    attempts: Counter[_Place] = Counter()
    failures: Counter[_Place] = Counter()
    quick: Counter[_Place] = Counter()

    def run(node: str, user: str, array: str, rate: float) -> None:
        place = (node, user, array)
        attempts[place] += 1
        if dice.random() < (rate + (1 - rate) * EATEN if node in bad else rate):
            failures[place] += 1
            quick[place] += dice.random() < (0.9 if array else 0.3)

    for _ in range(JOBS_A_NODE * NODES):
        user = dice.choice(users)
        run(dice.choice(names), user, "", careless[user])
    for number in range(12):
        user, where = dice.choice(users), dice.sample(names, 200)
        for task in range(400):
            run(where[0] if number % 3 == 0 and task % 4 == 0 else dice.choice(where), user, str(number), 0.9)
    rows = [
        Counted([node], "main", user, array, count, failures[node, user, array], quick[node, user, array])
        for (node, user, array), count in attempts.items()
    ]
    return rows, bad


def main() -> None:
    """Print a line for each seed."""
    for seed in SEEDS:
        rows, bad = month(seed)
        began = time.perf_counter()
        found = [suspect.node for suspect in span_of(rows).suspects()]
        seconds = time.perf_counter() - began
        counts = f"found {len(bad & set(found))} of 3, falsely accused {len(set(found) - bad)}"
        print(f"seed {seed}: {counts}, {seconds:.2f} s")  # noqa: T201 - a program


if __name__ == "__main__":
    main()
