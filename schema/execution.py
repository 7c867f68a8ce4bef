"""In charge of executing the fixed part: graphql-core, with a bound on the fields that one operation may resolve.

The catalogue is a graph with cycles (a relation's target has relations), so a short document can ask for any number of
nodes; the bound is on what is executed, not on what is written.
"""

from collections.abc import Mapping
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLObjectType, GraphQLSchema, execute, located_error
from graphql.execution.executor import Executor

from schema.context import RequestContext
from tanglai.catalogue.errors import ErrorCode, TanglaiError

MAX_FIELDS = 50_000
"""Fields of the fixed part that one operation may resolve, counted once per object."""

FIELDS_PER_TYPE = 200
"""Introspection fields that one operation may resolve, per type of the schema; the usual query needs about 130."""


class _BoundedExecutor(Executor[RequestContext]):
    """Counts fields before it resolves them; beyond the bound the whole operation fails with one error."""

    def __init__(self, *args: Any, max_fields: int, **more: Any) -> None:
        super().__init__(*args, **more)
        self._left = {False: max_fields, True: FIELDS_PER_TYPE * len(self.schema.type_map)}
        self._exceeded = False

    def execute_fields(
        self, parent_type: GraphQLObjectType, source_value: Any, path: Any, grouped_field_set: Any, *more: Any
    ) -> Any:
        introspection = parent_type.name.startswith("__")
        self._left[introspection] -= len(grouped_field_set)
        if self._left[introspection] < 0:
            self._exceeded = True
            raise TanglaiError(ErrorCode.LIMIT_EXCEEDED, "the operation resolves too many fields")
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, *more)

    def handle_field_error(self, raw_error: Exception, return_type: Any, field_details_list: Any, path: Any) -> None:
        if self._exceeded:  # no field above takes it for its own: one error, no data
            raise located_error(raw_error, [details.node for details in field_details_list], path.as_list())
        super().handle_field_error(raw_error, return_type, field_details_list, path)


async def execute_fixed(
    schema: GraphQLSchema,
    document: DocumentNode,
    context: RequestContext,
    variables: Mapping[str, Any],
    *,
    max_fields: int = MAX_FIELDS,
) -> ExecutionResult:
    """The answer to the one operation of `document`, which has been validated and holds fixed root fields only.

    An operation beyond the bound has no data and one error LIMIT_EXCEEDED (its original error is a TanglaiError).
    """
    result = execute(
        schema,
        document,
        context_value=context,
        variable_values=dict(variables),
        hide_suggestions=True,
        executor_class=_BoundedExecutor,
        max_fields=max_fields,
    )
    return result if isinstance(result, ExecutionResult) else await result
