"""What every section of the configuration shares: the base model, and secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Settings(BaseModel):
    """Base of all sections: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _secret(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"env"} and value["env"]:
        name = str(value["env"])
        if name not in os.environ:
            raise ValueError(f"the environment variable {name} is not set")
        return os.environ[name]
    if isinstance(value, dict) and set(value) == {"file"} and value["file"]:
        path = Path(str(value["file"]))
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ValueError(f"the secret file {path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"the secret file {path} is not UTF-8 text") from error
    if isinstance(value, dict):
        raise ValueError("write {env: NAME}, {file: PATH} or the value itself")
    return value


Secret = Annotated[str, BeforeValidator(_secret), Field(repr=False)]
