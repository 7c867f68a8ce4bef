"""In charge of a source's options: secrets from the environment, and errors that do not repeat them."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_Model = TypeVar("_Model", bound="Options")


class Options(BaseModel):
    """A connector's configuration as it stands in the catalogue; unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WaitingOptions(Options):
    """`waiting`: operations of one worker that may wait for the source; None: as many as the worker has room for."""

    waiting: int | None = Field(default=None, ge=0, le=10_000)


def read(model: type[_Model], options: Mapping[str, Any], environment: Mapping[str, str]) -> _Model:
    """`options` as a `model`, each `{"env": NAME}` in it replaced by the environment's value.

    Raises ValueError that names the option, never its value.
    """
    return validated(model, resolved(options, environment))


def resolved(options: Any, environment: Mapping[str, str]) -> Any:
    """`options` with each `{"env": NAME}` replaced. Raises ValueError where NAME is not set."""
    if isinstance(options, Mapping):
        if set(options) == {"env"}:
            name = options["env"]
            if name not in environment:
                raise ValueError(f"environment variable `{name}` is not set")
            return environment[name]
        return {name: resolved(value, environment) for name, value in options.items()}
    if isinstance(options, list | tuple):
        return [resolved(value, environment) for value in options]
    return options


def validated(model: type[_Model], options: Any) -> _Model:
    """`options` as a `model`. Raises ValueError that names the first option that is wrong."""
    try:
        return model.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"option `{place}`: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
