"""What a process that reads a million jobs a day asks of the interpreter."""

import gc

_YOUNG_OBJECTS = 50_000


def tune() -> None:
    """Have the garbage collector look less often, and not at what was there from the start.

    Records are made and dropped by the thousand and hold no cycles: with the defaults a tenth of all CPU time goes
    into looking for some.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
