"""In charge of the GraphQL schema: the fixed part in Strawberry, the generated part, SDL and naming."""
