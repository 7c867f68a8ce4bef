"""In charge of the results of acts as GraphQL types: what went wrong, typed, with codes, fields and articles."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import wraps
from typing import Any, TypeAlias, TypeVar

import strawberry

from authz.words import article_words
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.enums import ActErrorCode
from tanglai.catalogue.rules import rule_set, rule_set_names
from tanglai.catalogue.workflow import errors
from tanglai.catalogue.workflow.errors import ProblemCode

T = TypeVar("T")


def _words(info: Info, article: str | None) -> str | None:
    if article is None:
        return None
    # A matter keeps its rule set, and what the catalogue must be rests on the Measures under either.
    sets = [rule_set(name) for name in (info.context.snapshot.rule_set, *rule_set_names())]
    citing = next((rules for rules in sets if article in rules.citations), None)
    return article_words(article, citing, info.context.language) if citing is not None else article


@strawberry.interface(description="Why an act was not done; nothing has changed.")
class ActError:
    code: ActErrorCode = strawberry.field(description="What kept it from being done.")
    message: str = strawberry.field(description="In English, for developers.")
    article: str | None = strawberry.field(description="The article that it rests on, where there is one.")

    @resolved("The article in words of the request's language; null where there is none.")
    def article_words(self, info: Info) -> str | None:
        return _words(info, self.article)


@strawberry.type(description="What is wrong with one field of what was given.")
class FieldProblem:
    field: list[str] = strawberry.field(description="Path of the field in the input; empty for the whole.")
    code: ProblemCode = strawberry.field(description="What is wrong.")
    message: str = strawberry.field(description="In English, for developers.")
    article: str | None = strawberry.field(description="The article behind the rule, where there is one.")

    @resolved("The article in words of the request's language; null where there is none.")
    def article_words(self, info: Info) -> str | None:
        return _words(info, self.article)


@strawberry.type(description="What was given is incomplete or against a rule; everything that is wrong at once.")
class InvalidAct(ActError):
    problems: list[FieldProblem] = strawberry.field(description="What is wrong with which field.")


@strawberry.type(description="There is no such thing, or it is none of this department's business.")
class NotFound(ActError):
    subject: str = strawberry.field(description="The id that was given.")


@strawberry.type(description="Another department, role or person does this.")
class NotPermitted(ActError):
    roles: list[str] = strawberry.field(description="Roles, any one of which it takes.")
    own_act: bool = strawberry.field(description="Whether it would be approving one's own act.")


@strawberry.type(description="It has no such step where it stands.")
class WrongState(ActError):
    current_state: str = strawberry.field(description="Where it stands.")
    steps: list[str] = strawberry.field(description="Steps that it has there, for whoever may take them.")


@strawberry.type(description="Somebody else changed it meanwhile: read it again and decide anew.")
class Conflict(ActError):
    version: int = strawberry.field(description="The version that it is at.")
    changed_by: str = strawberry.field(description="Who changed it.")
    changed_at: datetime = strawberry.field(description="When.")


ActFailure: TypeAlias = InvalidAct | NotFound | NotPermitted | WrongState | Conflict


async def acted(act: Awaitable[T]) -> T | ActFailure:
    """What `act` gives, or the typed result of what kept it from being done."""
    try:
        return await act
    except errors.WorkflowError as error:
        return failure(error)


def told(resolver: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Decorates the resolver of a mutation whose input is read before the act: what is wrong with it is typed too."""

    @wraps(resolver)
    async def resolve(*arguments: Any, **named: Any) -> Any:
        return await acted(resolver(*arguments, **named))

    return resolve


def failure(error: errors.WorkflowError) -> ActFailure:
    """The typed result of `error`."""
    message, article = error.message, error.article
    match error:
        case errors.InvalidAct():
            problems = [
                FieldProblem(field=list(it.field), code=it.code, message=it.message, article=it.article)
                for it in error.problems
            ]
            return InvalidAct(code=ActErrorCode.INVALID, message=message, article=article, problems=problems)
        case errors.NotFound():
            return NotFound(code=ActErrorCode.NOT_FOUND, message=message, article=article, subject=error.id)
        case errors.NotPermitted():
            roles = [role.value for role in error.roles]
            return NotPermitted(
                code=ActErrorCode.NOT_PERMITTED, message=message, article=article, roles=roles, own_act=error.own_act
            )
        case errors.WrongState():
            return WrongState(
                code=ActErrorCode.WRONG_STATE,
                message=message,
                article=article,
                current_state=error.state,
                steps=list(error.events),
            )
        case errors.Conflict():
            return Conflict(
                code=ActErrorCode.CONFLICT,
                message=message,
                article=article,
                version=error.version,
                changed_by=error.changed_by,
                changed_at=error.changed_at,
            )
    raise error
