"""The form of a template file: what the YAML under ``data/`` may say.

An operator registers a text together with the greatest length of each placeholder and refuses a message that
does not fit, so every placeholder has one, and what happens to a longer value is said too.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import cached_property, lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@lru_cache(maxsize=1024)  # names stand in the templates' files and in programs: there are few
def key(name: str) -> str:
    """Placeholders are compared without regard to case and Unicode form: the 2016 letter writes {mã số hồ sơ} once."""
    return unicodedata.normalize("NFC", name).strip().casefold()


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Placeholder(_Model):
    """What may stand in the place of {name}."""

    name: str
    field: str = Field(pattern=r"^[a-z_]+$", description="the English name by which programs give the value")
    max: int = Field(ge=1, description="registered maximum: septets when folded, UTF-16 units when not")
    overflow: Literal["refuse", "shorten"] = "refuse"
    min: int = Field(10, ge=4, description="shortest value to reckon with; a shortened one keeps as much")
    kind: Literal["text", "date", "choice"] = "text"
    choices: tuple[str, ...] = ()
    when_empty: str | None = Field(None, description="default: an empty value is refused")

    @model_validator(mode="after")
    def _consistent(self) -> Placeholder:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError(f"{self.name}: choices belong to kind 'choice'")
        if self.overflow == "shorten" and (self.kind != "text" or self.min > self.max):
            raise ValueError(f"{self.name}: only a text can be shortened, to no less than its 'min'")
        return self


class Template(_Model):
    """One text."""

    id: str = Field(pattern=r"^[a-z_]+$")
    text: str = Field(min_length=1)
    sender: Literal["brandname", "shortcode"] = "brandname"
    accents: Literal["any", "fold"] = Field("any", description="any: the setting decides; fold: never with diacritics")
    max_parts: int | None = Field(None, ge=1, description="of the folded text; default: the setting's")
    document: str = Field("", description="the letter that the text is taken from; empty: ours")
    version: str = ""  # of its file
    valid_from: date = date.min
    valid_to: date | None = None
    placeholders: tuple[Placeholder, ...] = ()

    @field_validator("text")
    @classmethod
    def _one_line(cls, value: str) -> str:
        return unicodedata.normalize("NFC", " ".join(value.split()))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Its placeholders as the text writes them, in order, each once."""
        return tuple(dict.fromkeys(PLACEHOLDER.findall(self.text)))

    @property
    def fixed_characters(self) -> int:
        return len(PLACEHOLDER.sub("", self.text))

    def placeholder(self, name: str) -> Placeholder | None:
        return self._by_key.get(key(name))

    @cached_property
    def _by_key(self) -> dict[str, Placeholder]:
        return {key(found.name): found for found in reversed(self.placeholders)}  # the first of a name counts

    def valid_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class TemplateFile(_Model):
    """A dated set of texts."""

    version: str = Field(pattern=r"^[a-z0-9_]+$")
    valid_from: date
    valid_to: date | None = None
    common: bool = Field(False, description="its texts serve every version that has none of that id")
    note: str = ""
    placeholders: tuple[Placeholder, ...]
    templates: tuple[Template, ...] = Field(min_length=1)

    def complete(self) -> tuple[Template, ...]:
        """Its templates with version, dates and those placeholders that they use; their own ones win."""
        return tuple(
            template.model_copy(
                update={
                    "version": self.version,
                    "valid_from": max(self.valid_from, template.valid_from),
                    "valid_to": template.valid_to or self.valid_to,
                    "placeholders": self._used(template),
                }
            )
            for template in self.templates
        )

    def _used(self, template: Template) -> tuple[Placeholder, ...]:
        known = {key(found.name): found for found in (*self.placeholders, *template.placeholders)}
        return tuple(known[key(name)] for name in template.names if key(name) in known)
