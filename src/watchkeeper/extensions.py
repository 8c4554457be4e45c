"""Which ways of looking and changing do other packages bring?

A package names them by an entry point: in the group `watchkeeper.probes` a module with `Question`
and `PROBE`, in `watchkeeper.operators` one with `Order` and `OPERATOR`. The entry point's name is
the word that a target file uses. A module is imported when a target file first uses its word.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from watchkeeper.errors import ConfigurationError
from watchkeeper.services import Model

T = TypeVar("T")
OURS = "watchkeeper"


@dataclass(frozen=True)
class Sort:
    """What extensions of one group are called, and what their modules hold.

    `shape` is the name of the model of what may be asked or ordered, `does` of the object that does
    it, by `methods`.
    """

    word: str
    group: str
    shape: str
    does: str
    methods: tuple[str, ...]


PROBE = Sort("probe", "watchkeeper.probes", "Question", "PROBE", ("drivers", "services", "look"))
OPERATOR = Sort("operator", "watchkeeper.operators", "Order", "OPERATOR", ("services", "operate"))


@dataclass(frozen=True)
class Extension:
    """A probe or operator that `package` ("acme-watch 1.2") brings."""

    sort: Sort
    name: str
    package: str
    entry: EntryPoint

    @cached_property
    def module(self) -> Any:
        """Raises ConfigurationError that names the package, where it is broken."""
        try:
            found = self.entry.load()
        except (Exception, SystemExit) as error:  # whatever somebody else's module does
            said = next(iter(str(error).splitlines()), "")
            told = f"{type(error).__name__}: {said}" if said else type(error).__name__
            raise self._broken(f"can't be imported ({self.entry.value}): {told}") from None
        shape = getattr(found, self.sort.shape, None)
        if not (isinstance(shape, type) and issubclass(shape, Model)):
            raise self._broken(
                f"{self.entry.value} has no class {self.sort.shape} that is a "
                "watchkeeper.services.Model"
            )
        does = getattr(found, self.sort.does, None)
        lacking = [name for name in self.sort.methods if not callable(getattr(does, name, None))]
        if does is None or lacking:
            what = f"{self.sort.does} with {', '.join(lacking or self.sort.methods)}"
            raise self._broken(f"{self.entry.value} has no {what}")
        act = self.sort.methods[-1]
        if not inspect.iscoroutinefunction(getattr(does, act)):
            raise self._broken(f"{self.sort.does}.{act} of {self.entry.value} is no `async def`")
        return found

    def _broken(self, problem: str) -> ConfigurationError:
        return ConfigurationError(
            f'the {self.sort.word} "{self.name}" of the package {self.package} {problem}',
            hint=f"mend or uninstall {self.package.partition(' ')[0]}; "
            "docs/adding.md says what a probe of your own needs",
        )


@cache
def installed(sort: Sort) -> tuple[Extension, ...]:
    """What the installed packages bring, by name and package; nothing of it is imported."""
    found = (
        Extension(sort, entry.name, _package(entry), entry)
        for entry in entry_points(group=sort.group)
    )
    return tuple(sorted(found, key=lambda each: (each.name, each.package)))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "unknown"


def conflict(
    sort: Sort, built_in: Collection[str], reserved: Collection[str]
) -> ConfigurationError | None:
    """The first word that two packages claim, watchkeeper among them; None where none is."""
    owners: dict[str, str] = dict.fromkeys(built_in, OURS)
    for each in installed(sort):
        other = owners.setdefault(each.name, each.package)
        if other != each.package:
            problem = f'two packages have a {sort.word} "{each.name}": {other} and {each.package}'
        elif each.name in reserved:
            problem = (
                f'the {sort.word} "{each.name}" of the package {each.package} is called as a key '
                f"that {OURS}'s own target files have"
            )
        else:
            continue
        name = each.package.partition(" ")[0]
        return ConfigurationError(
            problem, hint=f"let {name} give it another name, or uninstall {name}"
        )
    return None


def words_of(*models: type[Model]) -> tuple[str, ...]:
    """The keys of `models`, as target files spell them."""
    fields = (field for model in models for field in model.model_fields.items())
    return tuple(dict.fromkeys(field.alias or name for name, field in fields))


class Extended(Mapping[str, T], Generic[T]):
    """What is built in, and after it what packages bring; `part` takes it out of their modules.

    `reserved` are words that mean something else where ours stand. Raises ConfigurationError for a
    conflict and for what is broken.
    """

    def __init__(
        self,
        built_in: Mapping[str, T],
        sort: Sort,
        part: Callable[[Any], T],
        reserved: Collection[str],
    ) -> None:
        self._built_in = built_in
        self._sort = sort
        self._part = part
        self._reserved = frozenset(reserved) - built_in.keys()

    @cached_property
    def _others(self) -> Mapping[str, Extension]:
        if (error := conflict(self._sort, self._built_in, self._reserved)) is not None:
            raise error
        return {each.name: each for each in installed(self._sort)}

    def __getitem__(self, name: str) -> T:
        others = self._others
        if name in self._built_in:
            return self._built_in[name]
        return self._part(others[name].module)

    def __contains__(self, name: object) -> bool:
        return name in self._others or name in self._built_in  # a conflict is told at once

    def __iter__(self) -> Iterator[str]:
        yield from self._built_in
        yield from self._others

    def __len__(self) -> int:
        return len(self._built_in) + len(self._others)
