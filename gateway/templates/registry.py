"""The message texts: read from dated YAML files, checked, found by id and version, and rendered.

The texts of the official letters are verbatim; operators have registered them. Texts of ours stand in files marked
``common``: they serve every version. Programs give values by English names or by the placeholders themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import combinations

import yaml
from pydantic import ValidationError

from gateway.errors import ConfigError, TemplateError
from gateway.smpp.text import choose_coding, count_parts, fold, is_gsm7
from gateway.templates.rendering import Accents, Rendered, render
from gateway.templates.schema import PLACEHOLDER, Placeholder, Template, TemplateFile

__all__ = ["Placeholder", "Registry", "Rendered", "Template"]

#: As a version: the one in force on the day.
DATED = "dated"
#: The longest that a text of any template may become; a longer one is a mistake in its file.
_ABSURD_PARTS = 10


class Registry:
    """All templates."""

    def __init__(self, files: Iterable[TemplateFile]) -> None:
        """Raises :class:`TemplateError` that names every fault."""
        self._files = list(files)
        self._templates = {
            (template.id, template.version): template for file in self._files for template in file.complete()
        }
        faults = [*self._twice(), *(fault for template in self for fault in _faults(template)), *self._overlaps()]
        if faults:
            raise TemplateError("; ".join(faults))

    @classmethod
    def load(cls, *directories: Traversable) -> Registry:
        """Read the shipped texts, or those in other directories (``*.yaml``).

        Raises:
            TemplateError: a file cannot be read, or has faults; all are named.
        """
        shipped = resources.files("gateway.templates").joinpath("data")
        paths = [path for directory in directories or (shipped,) for path in directory.iterdir()]
        return cls(_read(path) for path in sorted(paths, key=lambda path: path.name) if path.name.endswith(".yaml"))

    def __iter__(self) -> Iterator[Template]:
        return iter(self._templates.values())

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that the configuration may name."""
        return tuple(file.version for file in self._files if not file.common)

    def get(self, template_id: str, version: str) -> Template:
        """The template of that version, or the common one.

        Raises:
            TemplateError: there is none; says which there are.
        """
        found = self._templates.get((template_id, version))
        if found is not None:
            return found
        if version not in {file.version for file in self._files}:
            raise TemplateError(f"there is no template version '{version}'. Known: {', '.join(self.versions)}")
        for candidate in (version, *(file.version for file in self._files if file.common)):
            template = self._templates.get((template_id, candidate))
            if template is not None:
                return template
        known = ", ".join(sorted({template.id for template in self}))
        raise TemplateError(f"there is no template '{template_id}' in version '{version}'. Known: {known}")

    def valid_version(self, template_id: str, day: date) -> str | None:
        """The version of a text that is in force on a day."""
        return next((found.version for found in self if found.id == template_id and found.valid_on(day)), None)

    def version_for(self, template_id: str, version: str, day: date) -> str:
        """The version that a setting names for a day: itself, or for "dated" the one in force.

        Raises:
            TemplateError: no version of the text is in force on the day.
        """
        if version != DATED:
            return version
        found = self.valid_version(template_id, day)
        if found is None:
            raise TemplateError(f"no version of the text {template_id} is in force on {day}")
        return found

    def render(
        self,
        template_id: str,
        version: str,
        values: Mapping[str, str],
        accents: Accents = "fold",
        max_parts: int = 4,
    ) -> Rendered:
        """Fill a template; see :func:`gateway.templates.rendering.render`. Raises :class:`TemplateError`."""
        return render(self.get(template_id, version), values, accents, max_parts)

    def faults(
        self,
        template_ids: Iterable[str],
        version: str,
        *,
        accents: Accents = "fold",
        max_parts: int = 4,
        day: date = date.max,
    ) -> list[ConfigError]:
        """What keeps these templates from ever being sent as the configuration says, by its keys.

        A text that is too long even with the shortest values is found here; one that is too long with an agency's long
        name is refused when it is made, and listed with its reason.
        """
        found: list[ConfigError] = []
        for template_id in template_ids:
            try:
                template = self.get(template_id, self.version_for(template_id, version, day))
            except TemplateError as error:
                known = version == DATED or version in self.versions
                path = "notices.enabled" if known else "notices.template_version"
                remedy = "Name a kind that has a template" if known else "Name a version that exists"
                found.append(ConfigError(path, str(error), remedy))
                if not known:
                    return found
                continue
            parts = fewest_parts(template, accents)
            if parts > max_parts:
                what = f"the text of {template_id} ({template.version}) takes {parts} parts, {max_parts} are allowed"
                remedy = f"Set it to {parts}" + (" or set notices.accents to fold" if accents == "keep" else "")
                found.append(ConfigError("notices.max_parts", what, remedy))
        return found

    def _twice(self) -> Iterator[str]:
        seen: set[tuple[str, str]] = set()
        for file in self._files:
            for template in file.templates:
                if (template.id, file.version) in seen:
                    yield f"template {template.id} stands twice in version {file.version}"
                seen.add((template.id, file.version))

    def _overlaps(self) -> Iterator[str]:
        for one, other in combinations(self, 2):
            later = max(one.valid_from, other.valid_from)
            if one.id == other.id and one.valid_on(later) and other.valid_on(later):
                yield f"template {one.id} is valid in both {one.version} and {other.version} on {later}"


def longest_parts(template: Template, accents: Accents) -> int:
    """Parts of the text with every value at its maximum; one that may be shortened counts at its minimum."""
    return _parts(template, accents, lambda found: found.min if found.overflow == "shorten" else found.max)


def fewest_parts(template: Template, accents: Accents) -> int:
    """Parts of the text with every value as short as one can be."""
    return _parts(template, accents, lambda found: min(found.min, found.max))


def _parts(template: Template, accents: Accents, length: Callable[[Placeholder], int]) -> int:
    folded = accents == "fold" or template.accents == "fold"

    def value(found: re.Match[str]) -> str:
        placeholder = template.placeholder(found[1])
        return "" if placeholder is None else ("a" if folded else "ạ") * length(placeholder)

    text = PLACEHOLDER.sub(value, template.text)
    text = fold(text) if folded else text
    return count_parts(text, choose_coding(text))


def _faults(template: Template) -> Iterator[str]:
    title = f"template {template.id} ({template.version})"
    for name in template.names:
        if template.placeholder(name) is None:
            yield f"{title}: unknown placeholder {{{name}}}"
    remainder = PLACEHOLDER.sub("", template.text)
    if "{" in remainder or "}" in remainder:
        yield f"{title}: a brace without its partner"
    if "?" in fold(remainder) and "?" not in remainder:
        yield f"{title}: a character that cannot be written without diacritics"
    if not is_gsm7(fold(template.text)):
        yield f"{title}: cannot be folded"
    limit = template.max_parts or _ABSURD_PARTS
    parts = longest_parts(template, "fold")
    if parts > limit:
        yield f"{title}: may take {parts} parts when folded, {limit} are allowed"
    if template.valid_to is not None and template.valid_to < template.valid_from:
        yield f"{title}: ends before it begins"


def _read(path: Traversable) -> TemplateFile:
    try:
        return TemplateFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TemplateError(f"{path.name} cannot be read: {error}") from error
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise TemplateError(f"{path.name}: {details}") from error
