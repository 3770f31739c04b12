"""Command lines read as GNU getopt_long reads them, with its words for what is wrong.

The standard library's own readers cost more start-up time than the whole of a stand-in command.
"""

from __future__ import annotations


class UsageError(ValueError):
    """A command line that getopt refuses; the text is getopt's, without the program's name."""


class Grammar:
    """The options of one program.

    Attributes:
        short: As for getopt(3): `aA:` is `-a` and `-A VALUE`.
        long: Long name to short letter or name; a name that ends in `=` takes a value.
    """

    def __init__(self, short: str, long: dict[str, str]) -> None:
        """Keep both."""
        self.short = short
        self.long = {name.rstrip("=?"): target for name, target in long.items()}
        self._valued = {name.rstrip("=") for name in long if name.endswith("=")}
        self._optional = {name.rstrip("?") for name in long if name.endswith("?")}

    def parse(self, argv: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
        """Split a command line into options, as `(target, value)`, and the other arguments.

        Raises:
            UsageError: An option is unknown, ambiguous or lacks its value.
        """
        options: list[tuple[str, str]] = []
        others: list[str] = []
        queue = list(argv)
        while queue:
            word = queue.pop(0)
            if word == "--":
                others += queue
                break
            if word.startswith("--"):
                options.append(self._long(word[2:], queue))
            elif word.startswith("-") and word != "-":
                options += self._short(word[1:], queue)
            else:
                others.append(word)
        return options, others

    def _long(self, text: str, queue: list[str]) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if name not in self.long:
            matches = [known for known in self.long if known.startswith(name)]
            if not matches:
                message = f"unrecognized option '--{name}'"
                raise UsageError(message)
            if len({self.long[known] for known in matches}) > 1:
                names = "".join(f" '--{known}'" for known in matches)
                message = f"option '--{name}' is ambiguous; possibilities:{names}"
                raise UsageError(message)
            name = matches[0]
        if name in self._valued and not equals:
            if not queue:
                message = f"option '--{name}' requires an argument"
                raise UsageError(message)
            value = queue.pop(0)
        elif equals and name not in self._valued and name not in self._optional:
            message = f"option '--{name}' doesn't allow an argument"
            raise UsageError(message)
        return self.long[name], value

    def _short(self, letters: str, queue: list[str]) -> list[tuple[str, str]]:
        options = []
        while letters:
            letter, letters = letters[0], letters[1:]
            position = self.short.find(letter)
            if position < 0 or letter == ":":
                message = f"invalid option -- '{letter}'"
                raise UsageError(message)
            if self.short[position + 1 : position + 2] != ":":
                options.append((letter, ""))
                continue
            if not letters and not queue:
                message = f"option requires an argument -- '{letter}'"
                raise UsageError(message)
            options.append((letter, letters or queue.pop(0)))
            break
        return options
