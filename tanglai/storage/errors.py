"""In charge of what may go wrong with the platform database, and of saying it without the driver's words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError


class PolicyUnavailable(TanglaiError):
    """The platform database cannot be asked, so nobody knows what holds now; conditional data is refused."""

    def __init__(self, message: str = "the platform database is unavailable") -> None:
        super().__init__(ErrorCode.POLICY_UNAVAILABLE, message)


class Refused(BadInput):
    """The platform database refuses a change: a reference to nothing, a second owner of a name, a forbidden step."""


class SchemaMismatch(Exception):
    """The database's tables are not those that this program was written for. For operators, at start only."""


REFUSAL = "TL001"
"""SQLSTATE of the refusals that our own triggers raise, whose messages are ours and safe to show."""

_UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, starting up, session ended
    asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,  # a pooled connection that died within asyncpg's own housekeeping
    asyncpg.ReadOnlySQLTransactionError,  # a standby, after a switch-over
    asyncpg.TargetServerAttributeNotMatched,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
_WORDS = {"data_grant": "grant", "resource_version": "resource"}
_MISSING = re.compile(r"\)=\((.*)\) is not present in table", re.DOTALL)
_TAKEN = re.compile(r"\)=\((.*)\) already exists", re.DOTALL)


def unreachable(error: BaseException) -> bool:
    """Whether `error` means that the database could not be asked, rather than that it was asked something wrong."""
    return isinstance(error, _UNREACHABLE) and not isinstance(error, asyncpg.exceptions.DataError)


@contextmanager
def translated() -> Iterator[None]:
    """Turns what asyncpg raises into PolicyUnavailable and Refused; the cause stays attached for the log.

    Text of the driver and of the database never stands in the message but for values that the caller gave.
    """
    try:
        yield
    except asyncpg.ForeignKeyViolationError as error:
        raise Refused(_reference(error)) from error
    except asyncpg.UniqueViolationError as error:
        value = _TAKEN.search(error.detail or "")
        name = f" `{value[1]}`" if value else ""
        raise Refused(f"a {_word(error.table_name)} with this {_column(error)}{name} exists already") from error
    except (
        asyncpg.CheckViolationError,
        asyncpg.NotNullViolationError,
        asyncpg.exceptions.DataError,
        UnicodeEncodeError,
    ) as error:
        raise Refused(f"the platform database cannot hold this: {_reason(error)}") from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == REFUSAL:
            raise Refused(str(error)) from error
        if unreachable(error):
            raise PolicyUnavailable from error
        raise
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise PolicyUnavailable from error


def _word(table: str | None) -> str:
    return _WORDS.get(table or "", table or "row")


def _column(error: asyncpg.PostgresError) -> str:
    # Constraints are named table_column_fkey and table_column_key.
    name = str(error.constraint_name or "")
    return name.removeprefix(f"{error.table_name}_").removesuffix("_fkey").removesuffix("_key").removesuffix("_pkey")


def _reference(error: asyncpg.ForeignKeyViolationError) -> str:
    value = _MISSING.search(error.detail or "")
    name = f" `{value[1]}`" if value else ""
    return f"a {_word(error.table_name)} names a {_column(error)}{name} that does not exist"


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncpg.UntranslatableCharacterError | asyncpg.CharacterNotInRepertoireError):
        return "a text holds a NUL character"
    if isinstance(error, UnicodeEncodeError):
        return "a text is not Unicode"
    if isinstance(error, asyncpg.CheckViolationError):
        return f"it is against `{error.constraint_name}`"
    return "a value out of its range"
